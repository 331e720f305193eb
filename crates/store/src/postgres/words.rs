//! The words that assets are found by, cut and folded as SQLite's `unicode61` with `remove_diacritics 2` does it: runs of letters
//! and digits, without case and accents. PostgreSQL's own parsers see hosts, numbers with signs and hyphenated words instead.

use unicode_normalization::UnicodeNormalization;

/// Most words of one asset; what comes after them does not find it.
const WORDS_MAX: usize = 10_000;
/// Most letters of a word that count: PostgreSQL takes no word of more than 2 KiB, and no more than 1 MiB of them.
const LETTERS_MAX: usize = 24;

/// Combining accents, which are no part of a letter here.
fn is_accent(c: char) -> bool {
    ('\u{300}'..='\u{36f}').contains(&c)
}

fn words(text: &str) -> Vec<String> {
    let mut words = vec![String::new()];
    let folded = text.nfd().flat_map(char::to_lowercase);
    for c in folded.filter(|c| !is_accent(*c)) {
        let last = words.last_mut().expect("there is always one");
        match c.is_alphanumeric() {
            true => last.push(c),
            false if last.is_empty() => {}
            false => words.push(String::new()),
        }
    }
    words.retain(|word| !word.is_empty());
    for word in &mut words {
        if let Some((end, _)) = word.char_indices().nth(LETTERS_MAX) {
            word.truncate(end);
        }
    }
    words
}

/// The text of a `tsvector`: each word with its place.
pub(super) fn vector(text: &str) -> String {
    let words = words(text).into_iter().take(WORDS_MAX).enumerate();
    let placed = words.map(|(place, word)| format!("'{word}':{}", place + 1));
    placed.collect::<Vec<_>>().join(" ")
}

/// The text of a `tsquery`: all words, the last of them perhaps unfinished. What is written together must stand together.
/// `None` without a word in it.
pub(super) fn expression(text: &str) -> Option<String> {
    let mut phrases: Vec<Vec<String>> = text.split_whitespace().map(words).collect();
    phrases.retain(|phrase| !phrase.is_empty());
    let quoted = phrases.iter().map(|phrase| {
        let words = phrase.iter().map(|word| format!("'{word}'"));
        words.collect::<Vec<_>>().join(" <-> ")
    });
    let all = quoted.collect::<Vec<_>>().join(" & ");
    (!all.is_empty()).then(|| format!("{all}:*"))
}

#[cfg(test)]
mod tests {
    use super::{expression, vector};

    #[test]
    fn words_are_letters_and_digits_without_case_and_accents() {
        assert_eq!(
            vector("Café \"at\" the\nIMG_1234.jpg"),
            "'cafe':1 'at':2 'the':3 'img':4 '1234':5 'jpg':6"
        );
        assert_eq!(vector("ÀÉÎõü Ångström İ"), "'aeiou':1 'angstrom':2 'i':3");
        assert_eq!(vector("don't a\\b"), "'don':1 't':2 'a':3 'b':4");
        assert_eq!(vector("東京 タワー"), "'東京':1 'タワー':2");
    }

    #[test]
    fn the_last_word_may_go_on_and_joined_ones_stand_together() {
        let cases = [
            ("harb", Some("'harb':*")),
            ("HARBOUR cafe", Some("'harbour' & 'cafe':*")),
            ("img_1234.jpg", Some("'img' <-> '1234' <-> 'jpg':*")),
            ("' OR 1=1 --", Some("'or' & '1' <-> '1':*")),
            ("\"", None),
            ("  ", None),
        ];
        for (text, query) in cases {
            assert_eq!(expression(text).as_deref(), query, "{text}");
        }
    }
}
