//! Sets of bytes of a file, as the spans that they lie in.

use std::ops::Range;

/// Spans in rising order that neither overlap nor touch.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Spans(Vec<Range<u64>>);

impl Spans {
    /// All bytes of `ranges`, and those between two that lie at most `gap` apart.
    pub fn joined(mut ranges: Vec<Range<u64>>, gap: u64) -> Self {
        ranges.retain(|r| r.start < r.end);
        ranges.sort_unstable_by_key(|r| r.start);
        let mut apart: Vec<Range<u64>> = Vec::new();
        for range in ranges {
            match apart.last_mut() {
                Some(last) if range.start <= last.end.saturating_add(gap) => {
                    last.end = last.end.max(range.end);
                }
                _ => apart.push(range),
            }
        }
        Self(apart)
    }

    /// Adds all bytes of `other`.
    pub fn add(&mut self, other: &Self) {
        let all = self.0.iter().chain(&other.0).cloned().collect();
        *self = Self::joined(all, 0);
    }

    /// Whether all bytes of `range` are in it.
    pub fn holds(&self, range: &Range<u64>) -> bool {
        let after = self.0.partition_point(|span| span.start <= range.start);
        let before = after.checked_sub(1).and_then(|n| self.0.get(n));
        range.start >= range.end || before.is_some_and(|span| range.end <= span.end)
    }

    /// The bytes of it that are not in `other`.
    pub fn without(&self, other: &Self) -> Self {
        let mut left = Vec::new();
        for span in &self.0 {
            let mut at = span.start;
            let first = other.0.partition_point(|taken| taken.end <= span.start);
            for taken in other.0[first..].iter().take_while(|t| t.start < span.end) {
                left.push(at..taken.start.max(at));
                at = taken.end;
            }
            left.push(at.min(span.end)..span.end);
        }
        Self::joined(left, 0)
    }

    /// How many bytes they are.
    pub fn bytes(&self) -> u64 {
        self.0.iter().map(|span| span.end - span.start).sum()
    }

    /// One by one, rising.
    pub fn iter(&self) -> impl Iterator<Item = Range<u64>> + '_ {
        self.0.iter().cloned()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn spans(ranges: &[Range<u64>]) -> Spans {
        Spans::joined(ranges.to_vec(), 0)
    }

    #[test]
    fn spans_join_where_they_touch_or_nearly_do() {
        let joined = Spans::joined(vec![20..30, 0..5, 7..10, 10..12, 30..30], 2);
        assert_eq!(joined, spans(&[0..12, 20..30]));
        assert_eq!(joined.bytes(), 22);
        assert!(joined.holds(&(3..12)) && joined.holds(&(50..50)));
        assert!(!joined.holds(&(11..13)) && !joined.holds(&(12..20)));
    }

    #[test]
    fn what_is_missing_is_all_that_is_not_there() {
        let wanted = spans(&[0..10, 20..40]);
        let there = spans(&[5..22, 25..26, 39..50]);
        let missing = wanted.without(&there);
        assert_eq!(missing, spans(&[0..5, 22..25, 26..39]));
        let mut all = there;
        all.add(&missing);
        assert_eq!(wanted.without(&all), Spans::default());
        assert_eq!(wanted.without(&Spans::default()), wanted);
    }
}
