//! Every parser of outside bytes, as a function that takes any bytes and panics when a promise is broken.
//!
//! Two drive them: the test of this crate feeds each its seeds, mutated, for a moment; `make fuzz TARGET=image` lets
//! libFuzzer look for new paths for as long as one likes (`fuzz/` in the repository has its entry points).

#![forbid(unsafe_code)]

use mediaflow_blob::BlobKey;
use mediaflow_core::language::Language;
use mediaflow_core::{AssetId, ErrorCode, Recipe, Sha256, Timestamp};
use mediaflow_media::image::heif;
use mediaflow_media::image::{
    DecodeOptions, ImageLimits, InspectOptions, decode, decode_frames, inspect, probe,
};
use mediaflow_media::sniff;
pub use mediaflow_media::video::fuzzing;
use mediaflow_playlist::captions::Captions;

/// A parser with its name, as `make fuzz TARGET=...` takes it.
#[derive(Debug, Clone, Copy)]
pub struct Target {
    /// The name of the target, and of its folder of seeds.
    pub name: &'static str,
    /// Feeds it.
    pub feed: fn(&[u8]),
}

/// All of them.
pub const TARGETS: &[Target] = &[
    Target {
        name: "image",
        feed: image,
    },
    Target {
        name: "heif",
        feed: heif,
    },
    Target {
        name: "film",
        feed: fuzzing::film,
    },
    Target {
        name: "tables",
        feed: fuzzing::tables,
    },
    Target {
        name: "pieces",
        feed: fuzzing::pieces,
    },
    Target {
        name: "recipe",
        feed: recipe,
    },
    Target {
        name: "delivery",
        feed: delivery,
    },
    Target {
        name: "tus",
        feed: tus,
    },
    Target {
        name: "captions",
        feed: captions,
    },
    Target {
        name: "storage_events",
        feed: storage_events,
    },
    Target {
        name: "form",
        feed: form,
    },
    Target {
        name: "signatures",
        feed: signatures,
    },
    Target {
        name: "word",
        feed: word,
    },
];

/// Everything that is done to an uploaded picture in our own process before and while it is decoded.
pub fn image(bytes: &[u8]) {
    let limits = ImageLimits {
        pixels_max: 1_000_000,
        animation_pixels_max: 4_000_000,
        ..ImageLimits::default()
    };
    let options = DecodeOptions {
        limits,
        ..DecodeOptions::default()
    };
    let inspecting = InspectOptions {
        limits,
        record_positions: true,
        heif: None,
    };
    let _ = sniff::sniff(bytes);
    let mut frames = 0;
    let outcomes = [
        probe(bytes, &limits, None).err(),
        inspect(bytes, &inspecting).err(),
        decode(bytes, &options).err(),
        decode_frames(bytes, &options, &mut |frame| {
            frames += 1;
            assert!(!frame.pixels.data().is_empty());
            Ok(())
        })
        .err(),
    ];
    assert!(frames <= limits.frames_max);
    for error in outcomes.into_iter().flatten() {
        assert!(ErrorCode::parse(error.code).is_some(), "{error}");
        assert_ne!(error.code, "internal", "{error}");
    }
}

/// What the server reads of HEIC and AVIF itself: their boxes, and what the decoding process sends back.
pub fn heif(bytes: &[u8]) {
    if let Some((width, height)) = heif::dimensions(bytes) {
        assert!(width > 0 && height > 0);
    }
    let limits = ImageLimits {
        pixels_max: 1_000_000,
        ..ImageLimits::default()
    };
    heif::fuzz_answer(bytes, &limits);
}

/// A recipe that somebody wrote: it is refused with a line, or written and read again it is the same.
pub fn recipe(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match Recipe::parse(text) {
        Ok(recipe) => assert!(!recipe.steps.is_empty()),
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A request for delivery, one line each: path, `Accept`, `Range`, `If-None-Match`.
pub fn delivery(bytes: &[u8]) {
    mediaflow_api::fuzzing::delivery(bytes);
}

/// What an upload over several requests says, one line each: metadata, checksum, how it belongs to others, a number.
pub fn tus(bytes: &[u8]) {
    mediaflow_api::fuzzing::tus(bytes);
}

/// A form with a file: what `Content-Type` says, and the body.
pub fn form(bytes: &[u8]) {
    mediaflow_api::fuzzing::form(bytes);
}

/// Signatures, keys and tokens, one line each.
pub fn signatures(bytes: &[u8]) {
    mediaflow_api::fuzzing::signatures(bytes);
}

/// Captions that somebody gives: refused with a line, or written and read again they are the same.
pub fn captions(bytes: &[u8]) {
    match Captions::read(bytes) {
        Ok(captions) => {
            let text = captions.write();
            assert_eq!(Captions::read(text.as_bytes()), Ok(captions), "{text}");
        }
        Err(error) => assert!(error.line > 0, "{error}"),
    }
}

/// What a queue or a webhook tells of new objects: refused, or keys and buckets that have names.
pub fn storage_events(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    match mediaflow_engine::read_storage_events(text) {
        Ok(created) => {
            for object in created {
                assert!(!object.key.is_empty() && !object.bucket.is_empty());
                assert_ne!(object.version.as_deref(), Some(""));
                assert_ne!(object.version.as_deref(), Some("null"));
            }
        }
        Err(error) => assert!(!error.to_string().is_empty()),
    }
}

/// A text that is stored or sent as an id, a digest, a time or a key.
pub fn word(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let _ = text.parse::<AssetId>();
    if let Some(language) = Language::parse(text) {
        assert_eq!(Language::parse(language.as_str()), Some(language));
    }
    if let Ok(digest) = text.parse::<Sha256>() {
        assert!(digest.to_string().eq_ignore_ascii_case(text));
    }
    if let Some(time) = Timestamp::parse_rfc3339(text) {
        assert_eq!(Timestamp::parse_rfc3339(&time.to_string()), Some(time));
    }
    if let Ok(key) = text.parse::<BlobKey>() {
        let is_up = |part: &str| part.is_empty() || part.starts_with('.');
        assert!(!key.as_str().split('/').any(is_up), "{key:?}");
    }
}
