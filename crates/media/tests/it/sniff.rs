use mediaflow_media::image::Format;
use mediaflow_media::sniff::{Sniffed, look_inside, sniff};
use std::io::Cursor;

use crate::film::Studio;
use crate::make;

#[test]
fn the_bytes_decide() {
    let webm = [&[0x1a, 0x45, 0xdf, 0xa3, 0x9f][..], b"\x42\x82\x84webm"].concat();
    let stream: Vec<u8> = (0..1000)
        .map(|n| if n % 188 == 0 { 0x47 } else { 0 })
        .collect();
    let cases: &[(&[u8], Sniffed)] = &[
        (make::QUADRANTS_JPEG, Sniffed::Image(Format::Jpeg)),
        (make::LOSSY_WEBP, Sniffed::Image(Format::Webp)),
        (make::FAX_TIFF, Sniffed::Image(Format::Tiff)),
        (b"MM\0*\0\0\0\x08", Sniffed::Image(Format::Tiff)),
        (b"GIF89a\x01\0\x01\0", Sniffed::Image(Format::Gif)),
        (b"\x89PNG\r\n\x1a\n", Sniffed::Image(Format::Png)),
        (
            b"\0\0\0\x18ftypheic\0\0\0\0mif1heic",
            Sniffed::Image(Format::Heic),
        ),
        (
            b"\0\0\0\x18ftypmif1\0\0\0\0mif1avif",
            Sniffed::Image(Format::Avif),
        ),
        (
            b"\0\0\0\x18ftypavis\0\0\0\0msf1avis",
            Sniffed::Image(Format::Avif),
        ),
        (
            b"\0\0\0\x18ftypisom\0\0\0\0isommp42",
            Sniffed::Video("video/mp4"),
        ),
        (
            b"\0\0\0\x14ftypqt  \0\0\0\0qt  ",
            Sniffed::Video("video/quicktime"),
        ),
        (
            b"\0\0\0\x14ftypM4A \0\0\0\0M4A ",
            Sniffed::Audio("audio/mp4"),
        ),
        (&webm, Sniffed::Video("video/webm")),
        (&stream, Sniffed::Video("video/mp2t")),
        (b"RIFF\x24\0\0\0WAVEfmt ", Sniffed::Audio("audio/wav")),
        (b"fLaC\0\0\0\x22", Sniffed::Audio("audio/flac")),
        (b"ID3\x04\0\0", Sniffed::Audio("audio/mpeg")),
        (b"ID3\x04\0\0\0\0\0\x02--fLaC", Sniffed::Audio("audio/flac")),
        (b"\0\0\x01\xba\x44", Sniffed::Video("video/mpeg")),
        (b"\0\0\x01\xb3\x14", Sniffed::Video("video/mpv")),
        (b"FLV\x01\x05", Sniffed::Video("video/x-flv")),
        (b"RIFF\0\0\0\0AVI LIST", Sniffed::Video("video/x-msvideo")),
        (b"OggS\0\x02OpusHead", Sniffed::Audio("audio/ogg")),
        (b"#EXTM3U\n#EXT-X-VERSION:3\n", Sniffed::Unknown),
        (b"ffconcat version 1.0\nfile a.mp4\n", Sniffed::Unknown),
        (b"XBIN\x1a\x50\0", Sniffed::Unknown),
        (b"\xff\xfb\x90\x64", Sniffed::Audio("audio/mpeg")),
        (b"\xff\xf1\x50\x80", Sniffed::Audio("audio/aac")),
        (b"<svg xmlns='http://www.w3.org/2000/svg'/>", Sniffed::Svg),
        (
            b"\xef\xbb\xbf<?xml version='1.0'?>\n<!-- a > b -->\n<!DOCTYPE svg PUBLIC ''>\n<svg>",
            Sniffed::Svg,
        ),
        (b"<html><svg></svg></html>", Sniffed::Unknown),
        (b"BMW is a maker of cars, not a bitmap", Sniffed::Unknown),
        (b"GIF89", Sniffed::Unknown),
        (b"%PDF-1.7", Sniffed::Unknown),
        (b"", Sniffed::Unknown),
    ];
    for (head, expected) in cases {
        assert_eq!(
            sniff(head),
            *expected,
            "{:?}",
            String::from_utf8_lossy(&head[..head.len().min(24)])
        );
    }
}

#[test]
fn formats_are_named_both_ways() {
    for name in ["jpeg", "png", "gif", "webp", "avif", "heic", "tiff", "bmp"] {
        let format = Format::parse(name).expect(name);
        assert_eq!(format.to_string(), name);
        assert_eq!(
            serde_json::to_string(&format).unwrap(),
            format!("\"{name}\"")
        );
    }
    assert_eq!(Format::parse("jpg"), None);
    assert_eq!(Format::Jpeg.extension(), "jpg");
}

#[test]
fn the_list_of_tracks_tells_films_from_sound_alone() {
    let studio = Studio::new();
    let (film, sound) = ("testsrc2=s=64x64:r=5:d=1", "sine=440:d=1");
    let art = "-map 0 -map 1 -c:v mjpeg -pix_fmt yuvj420p -disposition:v attached_pic";
    let cases: &[(&str, &[&str], String, Sniffed)] = &[
        (
            "a.mp4",
            &[sound],
            "-c:a aac".into(),
            Sniffed::Audio("audio/mp4"),
        ),
        (
            "b.mp4",
            &[film, sound],
            String::new(),
            Sniffed::Video("video/mp4"),
        ),
        (
            "c.m4a",
            &[sound, film],
            format!("{art} -frames:v 1 -c:a aac"),
            Sniffed::Audio("audio/mp4"),
        ),
        (
            "d.mov",
            &[sound],
            "-c:a aac -movflags faststart".into(),
            Sniffed::Audio("audio/mp4"),
        ),
        (
            "e.mka",
            &[sound],
            "-c:a libopus".into(),
            Sniffed::Audio("audio/x-matroska"),
        ),
        (
            "f.mkv",
            &[sound, film],
            "-map 0 -map 1".into(),
            Sniffed::Video("video/x-matroska"),
        ),
        (
            "g.webm",
            &[sound],
            "-c:a libvorbis".into(),
            Sniffed::Audio("audio/webm"),
        ),
        (
            "h.ogg",
            &[sound],
            "-c:a flac".into(),
            Sniffed::Audio("audio/ogg"),
        ),
        (
            "i.wma",
            &[sound],
            "-c:a wmav2".into(),
            Sniffed::Audio("audio/x-ms-wma"),
        ),
        (
            "j.wmv",
            &[film, sound],
            "-c:v wmv2 -c:a wmav2".into(),
            Sniffed::Video("video/x-ms-asf"),
        ),
        (
            "k.flv",
            &[sound],
            "-c:a aac".into(),
            Sniffed::Audio("audio/x-flv"),
        ),
        (
            "l.mp3",
            &[sound, film],
            format!("{art} -frames:v 1 -c:a libmp3lame"),
            Sniffed::Audio("audio/mpeg"),
        ),
        (
            "m.caf",
            &[sound],
            "-c:a alac".into(),
            Sniffed::Audio("audio/x-caf"),
        ),
    ];
    for (name, sources, args, expected) in cases {
        let path = studio.make(name, sources, args);
        let bytes = std::fs::read(path).unwrap();
        let found = look_inside(sniff(&bytes), &mut Cursor::new(&bytes));
        assert_eq!(found, *expected, "{name}");
        // Whatever is cut off or broken: an answer, and never a panic.
        for end in (0..bytes.len()).step_by(1 + bytes.len() / 50) {
            let mut broken = bytes[..end].to_vec();
            look_inside(sniff(&broken), &mut Cursor::new(&broken));
            broken.iter_mut().skip(8).step_by(7).for_each(|b| *b = 0xff);
            look_inside(sniff(&broken), &mut Cursor::new(&broken));
        }
    }
    // A tag with a picture that is longer than what is sniffed, before FLAC.
    let flac = std::fs::read(studio.make("n.flac", &[sound], "-c:a flac")).unwrap();
    let mut tagged = b"ID3\x04\0\0\0\0\x40\0".to_vec();
    tagged.resize(10 + (0x40 << 7), 0);
    tagged.extend_from_slice(&flac);
    assert_eq!(sniff(&tagged), Sniffed::Audio("audio/mpeg"));
    let found = look_inside(sniff(&tagged), &mut Cursor::new(&tagged));
    assert_eq!(found, Sniffed::Audio("audio/flac"));
}
