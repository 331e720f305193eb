//! Ids of W3C traces that every process computes alike: the trace from an asset's correlation id, and the span that all of an
//! asset's work hangs on from the asset's own id. So nothing of a trace has to be stored or sent along.

use sha2::Digest as _;
use std::fmt;

/// A trace's id.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct TraceId(pub [u8; 16]);

/// A span's id within its trace.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct SpanId(pub [u8; 8]);

impl TraceId {
    /// The trace of whatever has this correlation id: that id itself where it is a trace's, as those are that we give and those that
    /// come out of a `traceparent`, else the beginning of its SHA-256.
    pub fn of(correlation: &str) -> Self {
        Self::parse(correlation).unwrap_or_else(|| {
            let digest = sha2::Sha256::digest(correlation.as_bytes());
            Self(std::array::from_fn(|n| digest[n]))
        })
    }

    /// 32 lower-case hexadecimal digits that are not all 0.
    pub fn parse(text: &str) -> Option<Self> {
        lower_hex(text).map(Self)
    }

    /// Whether the trace is one of those that are kept when so many of all are, 0 to 1. All who use the same ratio say the same, and who
    /// uses a higher one keeps these too: the last 56 bits of a trace id are random (W3C Trace Context 2).
    pub fn is_among(self, ratio: f64) -> bool {
        let [.., a, b, c, d, e, f, g] = self.0;
        let random = u64::from_be_bytes([0, a, b, c, d, e, f, g]);
        let all = (1_u64 << 56) as f64;
        random as f64 >= (1.0 - ratio) * all
    }
}

impl SpanId {
    /// The span of something with this id, of which the last half is random.
    pub fn of(id: &[u8; 16]) -> Self {
        Self(std::array::from_fn(|n| id[8 + n]))
    }

    /// 16 lower-case hexadecimal digits that are not all 0.
    pub fn parse(text: &str) -> Option<Self> {
        lower_hex(text).map(Self)
    }
}

/// A `traceparent` header: the caller's trace, and its span that we are called from. Later versions may have more parts.
pub fn traceparent(text: &str) -> Option<(TraceId, SpanId)> {
    let mut parts = text.split('-');
    let version: [u8; 1] = hex_of(parts.next()?)?;
    let (trace, span) = (parts.next()?, parts.next()?);
    let _flags: [u8; 1] = hex_of(parts.next()?)?;
    let is_known = version == [0] && parts.next().is_none();
    let is_later = version != [0] && version != [0xff];
    let ids = Some((TraceId::parse(trace)?, SpanId::parse(span)?));
    ids.filter(|_| is_known || is_later)
}

fn lower_hex<const N: usize>(text: &str) -> Option<[u8; N]> {
    hex_of(text).filter(|bytes| bytes.iter().any(|b| *b != 0))
}

fn hex_of<const N: usize>(text: &str) -> Option<[u8; N]> {
    let mut bytes = [0; N];
    let is_lower = !text.bytes().any(|b| b.is_ascii_uppercase());
    hex::decode_to_slice(text, &mut bytes).ok()?;
    is_lower.then_some(bytes)
}

impl fmt::Display for TraceId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

impl fmt::Display for SpanId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&hex::encode(self.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const TRACE: &str = "4bf92f3577b34da6a3ce929d0e0e4736";

    #[test]
    fn the_correlation_id_is_the_trace_where_it_can_be() {
        assert_eq!(TraceId::of(TRACE).to_string(), TRACE);
        let other = TraceId::of("order-17");
        assert_eq!(other, TraceId::of("order-17"));
        assert_ne!(other, TraceId::of("order-18"));
        let zeros = "0".repeat(32);
        assert_ne!(TraceId::of(&zeros).to_string(), zeros);
    }

    #[test]
    fn a_traceparent_is_read_to_the_letter() {
        let (trace, span) = traceparent(&format!("00-{TRACE}-00f067aa0ba902b7-01")).expect("valid");
        assert_eq!(trace.to_string(), TRACE);
        assert_eq!(span.to_string(), "00f067aa0ba902b7");
        assert!(traceparent(&format!("cc-{TRACE}-00f067aa0ba902b7-01-more")).is_some());
        for bad in [
            String::new(),
            "00".into(),
            "00-short-1-01".into(),
            format!("ff-{TRACE}-00f067aa0ba902b7-01"),
            format!("00-{TRACE}-00f067aa0ba902b7-01-more"),
            format!("00-{TRACE}-0000000000000000-01"),
            format!("00-{TRACE}-00f067aa0ba902b7"),
            format!("00-{}-00f067aa0ba902b7-01", "0".repeat(32)),
            format!("00-{}-00f067aa0ba902b7-01", TRACE.to_uppercase()),
        ] {
            assert_eq!(traceparent(&bad), None, "{bad}");
        }
    }

    #[test]
    fn a_share_of_traces_is_kept_and_a_larger_one_keeps_them_too() {
        let ids: Vec<TraceId> = (0..10_000).map(|n| TraceId::of(&n.to_string())).collect();
        let kept = |ratio| ids.iter().filter(|id| id.is_among(ratio)).count();
        assert_eq!((kept(0.0), kept(1.0)), (0, ids.len()));
        assert!((800..1200).contains(&kept(0.1)), "{}", kept(0.1));
        let all = ids.iter().filter(|id| id.is_among(0.1));
        assert!(all.clone().all(|id| id.is_among(0.5)));
    }
}
