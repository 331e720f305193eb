//! Enough of PromQL to find which metrics and labels a query asks for. Whether it is PromQL at all, Prometheus says.

use std::collections::BTreeSet;

/// What a query asks for.
#[derive(Debug, Default)]
pub(crate) struct Query {
    pub(crate) selectors: Vec<Selector>,
    /// Labels in `by` and `on`.
    pub(crate) grouped: BTreeSet<String>,
}

/// A metric, and which of its series.
#[derive(Debug)]
pub(crate) struct Selector {
    pub(crate) metric: String,
    /// Label, operator, value.
    pub(crate) matchers: Vec<(String, String, String)>,
}

const WORDS: [&str; 8] = [
    "and", "or", "unless", "by", "on", "without", "ignoring", "offset",
];

impl Query {
    pub(crate) fn parse(text: &str) -> Self {
        let mut query = Self::default();
        let mut rest = text;
        while let Some(first) = rest.chars().next() {
            if first == '[' {
                rest = &rest[rest.find(']').unwrap() + 1..];
                continue;
            }
            if !(first.is_ascii_alphabetic() || first == '_') {
                // A number may end with letters: 1e3.
                let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '.');
                rest = &rest[end.unwrap_or(rest.len()).max(first.len_utf8())..];
                continue;
            }
            let end = rest.find(|c: char| !c.is_ascii_alphanumeric() && c != '_' && c != ':');
            let (word, after) = rest.split_at(end.unwrap_or(rest.len()));
            let after = after.trim_start();
            rest = after;
            match after.chars().next() {
                Some('(') if matches!(word, "by" | "on") => {
                    let (list, after) = after[1..].split_once(')').unwrap();
                    let labels = list.split(',').map(|l| l.trim().to_owned());
                    query.grouped.extend(labels);
                    rest = after;
                }
                Some('(') => {}
                // sum by (x) (...)
                _ if after.starts_with("by ") || WORDS.contains(&word) => {}
                Some('{') => {
                    let (list, after) = after.split_once('}').unwrap();
                    let matchers = matchers(&list[1..]);
                    let metric = word.to_owned();
                    query.selectors.push(Selector { metric, matchers });
                    rest = after;
                }
                _ => query.selectors.push(Selector {
                    metric: word.to_owned(),
                    matchers: Vec::new(),
                }),
            }
        }
        // What buckets are put together by.
        query.grouped.remove("le");
        query
    }
}

fn matchers(list: &str) -> Vec<(String, String, String)> {
    let mut found = Vec::new();
    let mut rest = list;
    while let Some(at) = rest.find(['=', '!']) {
        let label = rest[..at].trim_matches([' ', ',']).to_owned();
        let (operator, after) = rest[at..].split_once('"').unwrap();
        let (value, after) = after.split_once('"').unwrap();
        found.push((label, operator.to_owned(), value.to_owned()));
        rest = after;
    }
    found
}

/// The labels of a sample: `{a="1",b="2"} 3`.
pub(crate) fn labels_in(sample: &str) -> Vec<(String, String)> {
    let Some(list) = sample.strip_prefix('{').and_then(|s| s.rsplit_once('}')) else {
        return Vec::new();
    };
    let found = matchers(list.0).into_iter();
    found.map(|(label, _, value)| (label, value)).collect()
}

#[test]
fn metrics_and_labels_are_found() {
    let query = Query::parse(
        "histogram_quantile(0.99, sum by (le, verb) (rate(a_bucket{x=\"1\", y!~\"2|{3\"}[5m]))) > 1e3 * 24 and on (q) b:c:max == 0",
    );
    let metrics: Vec<&str> = query.selectors.iter().map(|s| s.metric.as_str()).collect();
    assert_eq!(metrics, ["a_bucket", "b:c:max"]);
    assert_eq!(query.selectors[0].matchers[1].1, "!~");
    let grouped: Vec<&String> = query.grouped.iter().collect();
    assert_eq!(grouped, ["q", "verb"]);
    let alone = Query::parse("max(x) - time()");
    assert_eq!(alone.selectors.len(), 1);
}
