use mediaflow_media::image::Format;
use mediaflow_media::sniff::{Sniffed, sniff};

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
