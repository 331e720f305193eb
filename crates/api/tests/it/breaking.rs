//! Imports from servers that break off, lie, fail and drip.

use crate::imports::{Importing, content};
use crate::web::{Asked, Steps, bytes, cut, file, head};
use mediaflow_engine::UploadLimits;
use serde_json::json;
use std::time::Duration;

#[tokio::test]
async fn what_breaks_off_goes_on_where_it_was() {
    let (old, new) = (content(4), content(5));
    let web = (old.clone(), new.clone());
    let importing = Importing::of(move |asked| match (asked.path.as_str(), asked.before) {
        ("/cut", 0..4) => cut(file(asked, &web.0, "\"v1\""), 70_000),
        ("/cut", _) => file(asked, &web.0, "\"v1\""),
        ("/dated", before) => {
            let whole = web.0.as_slice();
            let times = [
                "Last-Modified: Tue, 15 Nov 1994 12:45:26 GMT",
                "Date: Tue, 15 Nov 1994 13:45:26 GMT",
            ];
            let start = asked.start();
            let length = format!("Content-Length: {}", whole.len() - start);
            let range = format!(
                "Content-Range: bytes {start}-{}/{}",
                whole.len() - 1,
                whole.len()
            );
            let steps = match start {
                0 => vec![head(200, &[&length, times[0], times[1]]), bytes(whole)],
                _ => vec![head(206, &[&length, &range]), bytes(&whole[start..])],
            };
            if before == 0 {
                cut(steps, 90_000)
            } else {
                steps
            }
        }
        // Nothing tells that it is the same file.
        ("/bare", 0) => cut(file(asked, &web.0, "W/\"weak\""), 90_000),
        ("/bare", _) => file(asked, &web.1, "W/\"weak\""),
        ("/changed", 0) => cut(file(asked, &web.0, "\"v1\""), 90_000),
        ("/changed", _) => file(asked, &web.1[..200_000], "\"v2\""),
        // It gives the rest of another file, though it was told of which one.
        ("/careless", 0) => cut(file(asked, &web.0, "\"v1\""), 90_000),
        ("/careless", 1) => {
            let start = asked.start();
            let range = format!(
                "Content-Range: bytes {start}-{}/{}",
                web.1.len() - 1,
                web.1.len()
            );
            vec![head(206, &[&range, "ETag: \"v2\""]), bytes(&web.1[start..])]
        }
        ("/careless", _) => file(asked, &web.1, "\"v2\""),
        // It became shorter than what there is of it.
        ("/shorter", 0) => cut(file(asked, &web.0, "\"v1\""), 90_000),
        ("/shorter", 1) => vec![head(416, &["Content-Range: bytes */9"])],
        _ => file(asked, b"now short", "\"v2\""),
    })
    .await;
    let ended = importing.import("/cut").await;
    importing.asset(&ended, &old).await;
    let asked = importing.web.asked();
    let ranges: Vec<_> = asked.iter().map(|asked| asked.header("range")).collect();
    assert_eq!(
        ranges,
        [
            "",
            "bytes=70000-",
            "bytes=140000-",
            "bytes=210000-",
            "bytes=280000-"
        ]
    );
    assert!(
        asked[1..]
            .iter()
            .all(|asked| asked.header("if-range") == "\"v1\"")
    );
    for (path, expected) in [
        ("/dated", old.as_slice()),
        ("/bare", &new),
        ("/changed", &new[..200_000]),
        ("/careless", &new),
        ("/shorter", b"now short"),
    ] {
        let ended = importing.import(path).await;
        importing.asset(&ended, expected).await;
    }
    let bare = importing.web.asked();
    let bare = bare.iter().filter(|asked| asked.path == "/bare");
    assert!(bare.clone().all(|asked| asked.header("range").is_empty()));
    importing.leaves_only(4).await;
}

#[tokio::test]
async fn lies_and_refusals_end_an_import_with_a_code() {
    let importing = Importing::of(|asked| match asked.path.as_str() {
        "/short" => vec![head(200, &["Content-Length: 10"]), bytes("12345")],
        "/long" => vec![head(200, &["Content-Length: 5"]), bytes("1234567890")],
        "/huge" => vec![head(200, &["Content-Length: 99999999999"])],
        "/endless" => vec![
            head(200, &["Transfer-Encoding: chunked"]),
            bytes("500000\r\n"),
            bytes(vec![b'x'; 5 << 20]),
        ],
        "/gzip" => vec![
            head(200, &["Content-Encoding: gzip", "Content-Length: 4"]),
            bytes("\x1f\u{b}xx"),
        ],
        "/missing" => vec![head(404, &["Content-Length: 0"])],
        "/forbidden" => vec![head(403, &["Content-Length: 0"])],
        "/partial" => vec![
            head(206, &["Content-Range: bytes 5-9/10", "Content-Length: 5"]),
            bytes("12345"),
        ],
        "/busy" => vec![head(503, &["Content-Length: 0"])],
        "/garbage" => vec![bytes("no HTTP at all\r\n\r\n")],
        "/silent" => vec![],
        "/text" => file(asked, b"<svg/>", "\"v1\""),
        _ => file(asked, b"a picture", "\"v1\""),
    })
    .await;
    let text = importing.fails("/short", "import.failed").await;
    assert_eq!(text, "it broke off");
    for path in ["/busy", "/garbage", "/silent"] {
        importing.fails(path, "import.failed").await;
    }
    for path in ["/huge", "/endless"] {
        importing.fails(path, "limit.bytes").await;
    }
    for path in ["/gzip", "/missing", "/forbidden", "/partial"] {
        importing.fails(path, "import.refused").await;
    }
    importing.fails("/text", "input.unsupported").await;
    let tries = |path: &str| {
        let asked = importing.web.asked();
        asked.iter().filter(|asked| asked.path == path).count()
    };
    assert_eq!(tries("/short"), 3, "as often as is configured");
    assert_eq!(tries("/missing"), 1, "once, because it does not get better");
    let wrong = json!({ "url": importing.web.url("/a"), "sha256": "0".repeat(64) });
    let ended = importing.ended(&importing.begin(wrong).await).await;
    assert_eq!(ended["error"]["code"], "input.digest");
    let ended = importing.import("/long").await;
    importing.asset(&ended, b"12345").await;
    importing.leaves_only(1).await;
}

#[tokio::test]
async fn a_server_in_trouble_is_asked_again() {
    let importing = Importing::of(|asked| match asked.before {
        0 => vec![head(503, &["Retry-After: 20", "Content-Length: 0"])],
        1 => vec![],
        _ => file(asked, b"a picture", "\"v1\""),
    })
    .await;
    let ended = importing.import("/a.jpg").await;
    importing.asset(&ended, b"a picture").await;
    assert_eq!(importing.web.asked().len(), 3);
}

#[tokio::test]
async fn a_slow_drip_is_given_up() {
    let drip = |_: &Asked| -> Steps {
        let mut steps = vec![head(200, &["Content-Length: 1000"])];
        for _ in 0..40 {
            steps.extend([
                bytes("x"),
                crate::web::Step::Pause(Duration::from_millis(100)),
            ]);
        }
        steps
    };
    let importing = Importing::with(drip, |wish| {
        wish.limits = UploadLimits {
            idle_s_max: 1,
            ..wish.limits.clone()
        };
        wish.import.tries_max = 2;
    })
    .await;
    let text = importing.fails("/a.jpg", "import.failed").await;
    assert_eq!(text, "it sends less than 65536 bytes in 1 seconds");
    assert_eq!(importing.web.asked().len(), 2);
    importing.leaves_only(0).await;
}
