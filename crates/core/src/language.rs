//! Languages of captions and sound, as players and pages name them (BCP 47).

use std::fmt;

/// Longest tag, in bytes.
const TAG_MAX: usize = 35;

/// A well-formed language tag in its usual spelling: `en`, `pt-BR`, `zh-Hant`, `und`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Language(String);

impl Language {
    /// Nobody said which.
    pub fn undetermined() -> Self {
        Self("und".into())
    }

    /// Reads a tag: a language of 2 or 3 letters, then subtags of letters and digits. The codes of three letters that
    /// media files use become those of two where there are such.
    pub fn parse(tag: &str) -> Option<Self> {
        let mut parts = tag.split('-');
        let first = parts.next()?.to_ascii_lowercase();
        let is_letters = first.bytes().all(|b| b.is_ascii_lowercase());
        if tag.len() > TAG_MAX || !is_letters || !(2..=3).contains(&first.len()) {
            return None;
        }
        let mut usual = short(&first).unwrap_or(&first).to_owned();
        for part in parts {
            let is_plain = part.bytes().all(|b| b.is_ascii_alphanumeric());
            if !is_plain || !(1..=8).contains(&part.len()) {
                return None;
            }
            usual.push('-');
            usual += &spelled(part);
        }
        Some(Self(usual))
    }

    /// What a media file says, which may be nothing or nonsense.
    pub fn of_file(tag: Option<&str>) -> Self {
        tag.and_then(Self::parse).unwrap_or_else(Self::undetermined)
    }

    /// The tag.
    pub fn as_str(&self) -> &str {
        &self.0
    }

    /// Its name in English with what the tag adds to it, or the tag where the name is not known here.
    pub fn label(&self) -> String {
        let (first, more) = self.0.split_once('-').unwrap_or((&self.0, ""));
        let known = NAMES.iter().find(|(two, ..)| *two == first);
        match (known, more) {
            (Some((.., name)), "") => (*name).to_owned(),
            (Some((.., name)), more) => format!("{name} ({more})"),
            (None, _) if first == "und" => "Unknown language".into(),
            (None, _) => self.0.clone(),
        }
    }
}

impl fmt::Display for Language {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

/// Scripts begin with a capital, regions are capitals, the rest is small (RFC 5646, 2.1.1).
fn spelled(part: &str) -> String {
    let lower = part.to_ascii_lowercase();
    let letters = part.bytes().all(|b| b.is_ascii_alphabetic());
    match (part.len(), letters) {
        (2, true) => part.to_ascii_uppercase(),
        (4, true) => lower[..1].to_ascii_uppercase() + &lower[1..],
        _ => lower,
    }
}

fn short(code: &str) -> Option<&'static str> {
    let mut names = NAMES.iter();
    let found = names.find(|(_, terms, _)| terms.split(' ').any(|term| term == code));
    found.map(|(two, ..)| *two)
}

/// ISO 639: the code of two letters, those of three (two where libraries had their own), the English name.
const NAMES: &[(&str, &str, &str)] = &[
    ("af", "afr", "Afrikaans"),
    ("ar", "ara", "Arabic"),
    ("az", "aze", "Azerbaijani"),
    ("be", "bel", "Belarusian"),
    ("bg", "bul", "Bulgarian"),
    ("bn", "ben", "Bengali"),
    ("bs", "bos", "Bosnian"),
    ("ca", "cat", "Catalan"),
    ("cs", "ces cze", "Czech"),
    ("cy", "cym wel", "Welsh"),
    ("da", "dan", "Danish"),
    ("de", "deu ger", "German"),
    ("el", "ell gre", "Greek"),
    ("en", "eng", "English"),
    ("eo", "epo", "Esperanto"),
    ("es", "spa", "Spanish"),
    ("et", "est", "Estonian"),
    ("eu", "eus baq", "Basque"),
    ("fa", "fas per", "Persian"),
    ("fi", "fin", "Finnish"),
    ("fr", "fra fre", "French"),
    ("ga", "gle", "Irish"),
    ("gl", "glg", "Galician"),
    ("gu", "guj", "Gujarati"),
    ("he", "heb", "Hebrew"),
    ("hi", "hin", "Hindi"),
    ("hr", "hrv", "Croatian"),
    ("hu", "hun", "Hungarian"),
    ("hy", "hye arm", "Armenian"),
    ("id", "ind", "Indonesian"),
    ("is", "isl ice", "Icelandic"),
    ("it", "ita", "Italian"),
    ("ja", "jpn", "Japanese"),
    ("ka", "kat geo", "Georgian"),
    ("kk", "kaz", "Kazakh"),
    ("km", "khm", "Khmer"),
    ("kn", "kan", "Kannada"),
    ("ko", "kor", "Korean"),
    ("la", "lat", "Latin"),
    ("lt", "lit", "Lithuanian"),
    ("lv", "lav", "Latvian"),
    ("mk", "mkd mac", "Macedonian"),
    ("ml", "mal", "Malayalam"),
    ("mn", "mon", "Mongolian"),
    ("mr", "mar", "Marathi"),
    ("ms", "msa may", "Malay"),
    ("my", "mya bur", "Burmese"),
    ("nb", "nob", "Norwegian Bokm\u{e5}l"),
    ("ne", "nep", "Nepali"),
    ("nl", "nld dut", "Dutch"),
    ("nn", "nno", "Norwegian Nynorsk"),
    ("no", "nor", "Norwegian"),
    ("pa", "pan", "Punjabi"),
    ("pl", "pol", "Polish"),
    ("pt", "por", "Portuguese"),
    ("ro", "ron rum", "Romanian"),
    ("ru", "rus", "Russian"),
    ("si", "sin", "Sinhala"),
    ("sk", "slk slo", "Slovak"),
    ("sl", "slv", "Slovenian"),
    ("sq", "sqi alb", "Albanian"),
    ("sr", "srp", "Serbian"),
    ("sv", "swe", "Swedish"),
    ("sw", "swa", "Swahili"),
    ("ta", "tam", "Tamil"),
    ("te", "tel", "Telugu"),
    ("th", "tha", "Thai"),
    ("tl", "tgl", "Tagalog"),
    ("tr", "tur", "Turkish"),
    ("uk", "ukr", "Ukrainian"),
    ("ur", "urd", "Urdu"),
    ("uz", "uzb", "Uzbek"),
    ("vi", "vie", "Vietnamese"),
    ("zh", "zho chi", "Chinese"),
    ("zu", "zul", "Zulu"),
];
