//! Which files of a folder are taken, by their names.

use super::WatchConfig;

/// Endings of files that somebody is still writing.
const PARTIAL: [&str; 9] = [
    ".part",
    ".partial",
    ".tmp",
    ".temp",
    ".crdownload",
    ".download",
    ".filepart",
    ".swp",
    "~",
];

/// What names must be.
#[derive(Debug, Clone)]
pub(super) struct Names {
    patterns: Vec<Vec<char>>,
    marker: Option<String>,
}

impl Names {
    pub(super) fn new(config: &WatchConfig) -> Self {
        let patterns = config.patterns.iter();
        Self {
            patterns: patterns
                .map(|p| p.to_lowercase().chars().collect())
                .collect(),
            marker: config.marker.clone(),
        }
    }

    /// Whether a file of this name may be taken.
    pub(super) fn takes(&self, name: &str) -> bool {
        let name = name.to_lowercase();
        if name.starts_with('.') || PARTIAL.iter().any(|ending| name.ends_with(ending)) {
            return false;
        }
        if self
            .marker
            .as_ref()
            .is_some_and(|marker| name.ends_with(&marker.to_lowercase()))
        {
            return false;
        }
        let letters: Vec<char> = name.chars().collect();
        self.patterns.is_empty() || self.patterns.iter().any(|pattern| fits(pattern, &letters))
    }

    /// Whether a folder of this name is looked into.
    pub(super) fn enters(&self, name: &str) -> bool {
        !name.starts_with('.') && name != "lost+found"
    }

    /// What says that a file is finished, where something must.
    pub(super) fn marker(&self) -> Option<&str> {
        self.marker.as_deref()
    }
}

/// Goes back to the last star only, so that no pattern takes longer than its length times the name's.
fn fits(pattern: &[char], name: &[char]) -> bool {
    let (mut p, mut n) = (0, 0);
    let mut star = None;
    while n < name.len() {
        match pattern.get(p) {
            Some('*') => {
                star = Some((p, n));
                p += 1;
            }
            Some(letter) if *letter == '?' || *letter == name[n] => {
                p += 1;
                n += 1;
            }
            _ => match star {
                Some((at, taken)) => {
                    star = Some((at, taken + 1));
                    p = at + 1;
                    n = taken + 1;
                }
                None => return false,
            },
        }
    }
    pattern[p..].iter().all(|letter| *letter == '*')
}

#[cfg(test)]
mod tests {
    use super::*;

    fn names(patterns: &[&str], marker: Option<&str>) -> Names {
        Names {
            patterns: patterns.iter().map(|p| p.chars().collect()).collect(),
            marker: marker.map(str::to_owned),
        }
    }

    #[test]
    fn what_is_hidden_or_unfinished_is_not_taken() {
        let all = names(&[], Some(".done"));
        for taken in ["a.jpg", "A", "part.jpg", "tmp"] {
            assert!(all.takes(taken), "{taken}");
        }
        for left in [
            ".a.jpg",
            "a.jpg.part",
            "a.TMP",
            "a.crdownload",
            "a.jpg~",
            "a.jpg.done",
            "a.jpg.DONE",
        ] {
            assert!(!all.takes(left), "{left}");
        }
        assert!(all.enters("photos") && !all.enters(".thumbnails") && !all.enters("lost+found"));
    }

    #[test]
    fn patterns_are_stars_and_question_marks() {
        let some = names(&["*.jpg", "img_??.png", "*a*b*"], None);
        for taken in [
            "x.jpg",
            "X.JPG",
            ".jpg.jpg".trim_start_matches('.'),
            "img_01.png",
            "IMG_ab.PNG",
            "xaybz",
            "ab",
        ] {
            assert!(some.takes(taken), "{taken}");
        }
        for left in ["x.jpeg", "img_1.png", "img_012.png", "ba", ""] {
            assert!(!some.takes(left), "{left}");
        }
        let slow = names(&["*a*a*a*a*a*a*a*a*a*a*a*b"], None);
        assert!(!slow.takes(&"a".repeat(5000)));
    }
}
