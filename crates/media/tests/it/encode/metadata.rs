//! What files say about themselves: what is asked for, and nothing else.

use std::io::Cursor;

use mediaflow_media::image::encode::Metadata;

use super::FORMATS;
use crate::drawn;

const COPYRIGHT: &str = "© 2031 Zoë Example";

/// Larger than one JPEG marker holds, and odd.
fn profile() -> Vec<u8> {
    (0..70_001u32).map(|i| ((i * 31) >> 3) as u8).collect()
}

fn contains(file: &[u8], needle: &[u8]) -> bool {
    file.windows(needle.len()).any(|w| w == needle)
}

#[test]
fn nothing_is_said_unasked() {
    let scene = drawn::scene(40, 30);
    for (name, encode, ..) in FORMATS {
        let file = encode(&scene, &Metadata::default()).unwrap().bytes;
        for marker in [
            &b"Exif"[..],
            b"EXIF",
            b"eXIf",
            b"ICC_PROFILE",
            b"ICCP",
            b"iCCP",
            b"prof",
            b"http:",
            b"xmp",
            b"tEXt",
        ] {
            assert!(
                !contains(&file, marker),
                "{name} holds {:?}",
                String::from_utf8_lossy(marker)
            );
        }
    }
}

#[test]
fn copyright_and_artist_are_kept() {
    let glass = drawn::rgba(40, 30, |x, _| [200, 10, 10, x as u8 * 6]);
    for image in [drawn::scene(40, 30), glass] {
        let metadata = Metadata {
            copyright: Some(COPYRIGHT),
            artist: Some("Zoë"),
            icc: None,
        };
        for (name, encode, read, _) in FORMATS {
            let file = encode(&image, &metadata).unwrap().bytes;
            assert!(contains(&file, COPYRIGHT.as_bytes()), "{name}");
            assert!(
                contains(&file, b"II\x2A\0\x08\0\0\0\x02\0\x3B\x01\x02\0"),
                "{name}: a TIFF directory of two entries"
            );
            assert_eq!(read(&file).width(), 40, "{name} still decodes");
        }
    }
}

#[test]
fn an_icc_profile_comes_back_whole() {
    let scene = drawn::scene(40, 30);
    let profile = profile();
    let metadata = Metadata {
        icc: Some(&profile),
        ..Metadata::default()
    };
    for (name, encode, read, _) in FORMATS {
        let file = encode(&scene, &metadata).unwrap().bytes;
        let found = match name {
            "jpeg" => {
                let mut decoder = zune_jpeg::JpegDecoder::new(Cursor::new(&file));
                decoder.decode_headers().unwrap();
                decoder.icc_profile()
            }
            "png" => {
                let reader = png::Decoder::new(Cursor::new(&file)).read_info().unwrap();
                reader.info().icc_profile.as_ref().map(|p| p.to_vec())
            }
            "webp" => image_webp::WebPDecoder::new(Cursor::new(&file))
                .unwrap()
                .icc_profile()
                .unwrap(),
            _ => contains(&file, &[b"colrprof", &profile[..]].concat()).then(|| profile.clone()),
        };
        assert!(found.as_ref() == Some(&profile), "{name}");
        assert_eq!(read(&file).height(), 30, "{name} still decodes");
    }
}

#[test]
fn avif_says_which_colours_it_holds() {
    let (_, encode, ..) = FORMATS[3];
    let file = encode(&drawn::scene(40, 30), &Metadata::default())
        .unwrap()
        .bytes;
    assert!(
        contains(&file, b"colrnclx\0\x01\0\x0D\0\x06\x80"),
        "CICP 1/13/6, full range"
    );
    let parsed = avif_parse::read_avif(&mut Cursor::new(&file)).unwrap();
    let color = parsed.primary_item_metadata().unwrap();
    assert_eq!(
        (
            color.max_frame_width.get(),
            color.max_frame_height.get(),
            color.bit_depth
        ),
        (40, 30, 8)
    );
    assert!(color.still_picture && !color.monochrome && color.chroma_subsampling == (true, true));
}
