use exif::{Rational, Tag, Value};
use mediaflow_media::image::{Format, InspectOptions, Position, inspect};

use crate::make::{self, field};

fn text(tag: Tag, text: &str) -> exif::Field {
    field(tag, Value::Ascii(vec![text.as_bytes().to_vec()]))
}

fn ratio(tag: Tag, parts: &[(u32, u32)]) -> exif::Field {
    field(
        tag,
        Value::Rational(
            parts
                .iter()
                .map(|&(num, denom)| Rational { num, denom })
                .collect(),
        ),
    )
}

fn photo() -> Vec<u8> {
    make::exif_segment(
        make::QUADRANTS_JPEG,
        &[
            text(Tag::Make, "Maker  "),
            text(Tag::Model, "Model 1"),
            text(Tag::LensModel, "35mm F2"),
            text(Tag::Artist, "Ann"),
            text(Tag::Copyright, "(c) Ann"),
            text(Tag::ImageDescription, "OLYMPUS DIGITAL CAMERA"),
            text(Tag::DateTimeOriginal, "2024:02:29 23:59:58"),
            text(Tag::OffsetTimeOriginal, "+02:00"),
            ratio(Tag::ExposureTime, &[(1, 250)]),
            ratio(Tag::FNumber, &[(28, 10)]),
            ratio(Tag::FocalLength, &[(35, 1)]),
            field(Tag::PhotographicSensitivity, Value::Short(vec![400])),
            text(Tag::GPSLatitudeRef, "S"),
            ratio(Tag::GPSLatitude, &[(33, 1), (51, 1), (36, 1)]),
            text(Tag::GPSLongitudeRef, "E"),
            ratio(Tag::GPSLongitude, &[(151, 1), (12, 1), (0, 1)]),
            ratio(Tag::GPSAltitude, &[(39, 2)]),
            field(Tag::GPSAltitudeRef, Value::Byte(vec![1])),
        ],
    )
}

#[test]
fn what_the_camera_wrote() {
    let info = inspect(&photo(), &InspectOptions::default()).unwrap();
    assert_eq!(info.format, Format::Jpeg);
    let json = serde_json::to_value(&info).unwrap();
    assert_eq!(
        json["camera"],
        serde_json::json!({"make": "Maker", "model": "Model 1"})
    );
    assert_eq!(json["lens"], "35mm F2");
    let exposure =
        serde_json::json!({"time": 0.004, "f_number": 2.8, "iso": 400, "focal_length_mm": 35.0});
    assert_eq!(json["exposure"], exposure);
    assert_eq!(json["taken_at"], "2024-02-29T23:59:58+02:00");
    assert_eq!(json["creator"], "Ann");
    assert_eq!(json["copyright"], "(c) Ann");
    assert_eq!(
        json.get("description"),
        None,
        "the camera's own name is no caption"
    );
    assert_eq!(json.get("transfer"), None);
}

#[test]
fn positions_are_read_only_on_request() {
    let without = inspect(&photo(), &InspectOptions::default()).unwrap();
    assert_eq!(without.metadata.gps, None);
    assert!(!serde_json::to_string(&without).unwrap().contains("33.86"));
    let with = inspect(
        &photo(),
        &InspectOptions {
            record_positions: true,
            ..InspectOptions::default()
        },
    )
    .unwrap();
    let expected = Position {
        latitude: -33.86,
        longitude: 151.2,
        altitude_m: Some(-19.5),
    };
    assert_eq!(with.metadata.gps, Some(expected));
}

#[test]
fn what_people_wrote() {
    let xmp = b"http://ns.adobe.com/xap/1.0/\0<rdf:RDF><dc:title><rdf:Alt><rdf:li>Harbour</rdf:li></rdf:Alt></dc:title>\
        <x xmlns:hdrgm=\"http://ns.adobe.com/hdr-gain-map/1.0/\"/></rdf:RDF>";
    let iptc = b"\x1c\x02\x78\x00\x07At dawn\x1c\x02\x05\x00\x05Other";
    let mut photoshop = b"Photoshop 3.0\x008BIM\x04\x04\0\0".to_vec();
    photoshop.extend_from_slice(&(iptc.len() as u32).to_be_bytes());
    photoshop.extend_from_slice(iptc);
    let jpeg = make::with_segment(make::QUADRANTS_JPEG, 0xed, &photoshop);
    let info = inspect(
        &make::with_segment(&jpeg, 0xe1, xmp),
        &InspectOptions::default(),
    )
    .unwrap();
    assert_eq!(info.metadata.title.as_deref(), Some("Harbour"));
    assert_eq!(info.metadata.description.as_deref(), Some("At dawn"));
    assert!(info.gain_map);
}

#[test]
fn broken_metadata_costs_only_itself() {
    let whole = make::exif(&[text(Tag::Make, "Maker"), make::orientation(3)]);
    for end in 0..whole.len() {
        let segment = [b"Exif\0\0", &whole[..end]].concat();
        let jpeg = make::with_segment(make::QUADRANTS_JPEG, 0xe1, &segment);
        inspect(&jpeg, &InspectOptions::default()).unwrap();
    }
}
