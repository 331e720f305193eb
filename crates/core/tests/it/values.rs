//! Times, digests and costs: what is shown is what is read back, and nothing wraps around.

use mediaflow_core::language::Language;
use mediaflow_core::operation::Facts;
use mediaflow_core::{Operation, Sha256, Timestamp};
use proptest::prelude::{prop_assert, prop_assert_eq, proptest};
use std::time::Duration;

proptest! {
    #[test]
    fn a_time_is_read_back(ms in -62_167_219_200_000_i64..=253_402_300_799_999) {
        let time = Timestamp(ms);
        prop_assert_eq!(Timestamp::parse_rfc3339(&time.to_string()), Some(time));
    }

    #[test]
    fn any_time_shows_and_reads(ms: i64, more_ms: u64) {
        prop_assert!(Timestamp::parse_rfc3339(&Timestamp(ms).to_string()).is_some());
        let later = Timestamp(ms).after(Duration::from_millis(more_ms));
        prop_assert!(later >= Timestamp(ms));
        prop_assert_eq!(Timestamp(ms).since(later), Duration::ZERO);
        if later.0 < i64::MAX && ms >= 0 {
            prop_assert_eq!(later.since(Timestamp(ms)), Duration::from_millis(more_ms));
        }
    }

    #[test]
    fn a_digest_is_read_back_in_either_case(bytes: [u8; 32]) {
        let digest = Sha256(bytes);
        let text = digest.to_string();
        prop_assert_eq!(text.parse(), Ok(digest));
        prop_assert_eq!(text.to_uppercase().parse(), Ok(digest));
        prop_assert!(text[1..].parse::<Sha256>().is_err());
        let longer = format!("{text}00");
        prop_assert!(longer.parse::<Sha256>().is_err());
        prop_assert!(text.replacen(&text[..1], "g", 1).parse::<Sha256>().is_err());
        let json = serde_json::to_string(&digest).expect("plain");
        prop_assert_eq!(serde_json::from_str::<Sha256>(&json).expect("read back"), digest);
    }

    #[test]
    fn more_pixels_never_cost_less(pixels: u64, bytes: u64, frames: u32) {
        let facts = Facts { pixels, frames, bytes };
        let less = Facts { pixels: pixels / 2, ..facts };
        for operation in [Operation::Inspect, Operation::Moderate, Operation::Watermark, Operation::Publish] {
            let (cost, half) = (operation.cost(facts), operation.cost(less));
            prop_assert!(cost.memory_bytes >= half.memory_bytes && cost.cpu_ms >= half.cpu_ms);
        }
    }
}

#[test]
fn known_values() {
    assert_eq!(
        Sha256::of(b"abc").to_string(),
        "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad"
    );
    assert_eq!(Timestamp(0).to_string(), "1970-01-01T00:00:00.000Z");
    let read = |text| Timestamp::parse_rfc3339(text).map(|t| t.0);
    assert_eq!(read("1970-01-01T01:00:00.25+01:00"), Some(250));
    assert_eq!(read("1969-12-31T23:59:59.9995Z"), Some(-1));
    assert_eq!(read("1970-01-01"), None);
    assert_eq!(read(""), None);
    assert_eq!(Timestamp(i64::MAX).to_string(), "9999-12-31T23:59:59.999Z");
    assert_eq!(Timestamp(i64::MIN).to_string(), "0000-01-01T00:00:00.000Z");
}

#[test]
fn languages_are_named_as_players_name_them() {
    let tag = |text: &str| Language::parse(text).map(|l| (l.to_string(), l.label()));
    let is = |text: &str, tag: &str, label: &str| {
        let found = Language::parse(text).unwrap();
        assert_eq!((found.as_str(), &*found.label()), (tag, label), "{text}");
    };
    is("eng", "en", "English");
    is("ger", "de", "German");
    is("PT-br", "pt-BR", "Portuguese (BR)");
    is("zh-hant", "zh-Hant", "Chinese (Hant)");
    is("gsw", "gsw", "gsw");
    for bad in ["", "e", "engl", "en_US", "en-", "en-\u{e9}", "en/us", "12"] {
        assert_eq!(tag(bad), None, "{bad}");
    }
    assert_eq!(Language::of_file(Some("???")).as_str(), "und");
}
