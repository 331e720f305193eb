//! Sounds against the real binary: whole, as loud as others, without a click, with everything that stands beside them.

use crate::given;
use crate::server::{Server, run, stderr, stdout};
use crate::sounds::{
    BLOCK, fetched, heard, hls, lasts, loudness, made, shape, text, tone, worst_click,
};
use serde_json::{Value, json};
use std::path::Path;

/// What AAC at the highest bit rate changes of a sine, as a part of its height; a jump is ten times that.
const CLICK: f32 = 0.05;

/// The playlist of one stream.
fn stream<'a>(asset: &'a Value, name: &str) -> &'a str {
    rendition(asset, name, "hls")["url"].as_str().unwrap()
}

fn step<'a>(asset: &'a Value, name: &str) -> &'a Value {
    let tasks = asset["tasks"].as_array().unwrap();
    tasks.iter().find(|t| t["step"] == name).unwrap()
}

fn rendition<'a>(asset: &'a Value, profile: &str, format: &str) -> &'a Value {
    let all = asset["renditions"].as_array().unwrap();
    let is_it = |r: &&Value| r["profile"] == profile && r["format"] == format;
    let found = all.iter().find(is_it);
    found.unwrap_or_else(|| panic!("no {profile}.{format} in {asset:#}"))
}

const SONG: &str = "-map 0 -map 1 -c:a flac -c:v mjpeg -pix_fmt yuvj420p -disposition:v attached_pic \
                    -metadata title=Northern -metadata artist=Nobody -metadata album=Trials";

#[tokio::test]
async fn a_song_with_a_cover() {
    let folder = given::config("");
    let art = "color=red:s=600x600:r=1:d=1";
    let song = made(
        folder.path(),
        "in/song.flac",
        &[&tone(2, 44_100, 20.0), art],
        SONG,
    );
    let server = Server::start(folder.path());
    let args = ["ingest", "--server", &server.base, "--json", "in"];
    let ended = run(folder.path(), &args);
    let text_of = stdout(&ended);
    let all: Vec<Value> = serde_json::from_str(&text_of)
        .unwrap_or_else(|e| panic!("{e}: {text_of}{}", stderr(&ended)));
    assert_eq!(all.len(), 1);
    let asset = &all[0];
    assert_eq!(
        (&asset["state"], &asset["kind"]),
        (&json!("ready"), &json!("audio")),
        "{asset:#}"
    );
    assert_eq!(asset["original"]["media_type"], "audio/flac");
    assert_eq!(asset["original"]["bytes"], song.len());

    // What was found.
    let info = &asset["inspected"]["info"];
    assert_eq!(info["tags"]["artist"], "Nobody");
    assert_eq!(
        (&info["audio"][0]["codec"], &info["audio"][0]["channels"]),
        (&json!("flac"), &json!(2))
    );
    assert_eq!(asset["audio"]["duration_ms"], 20_000);

    // What is played.
    let master = text(&server, hls(asset)).await;
    assert_eq!(
        master.matches("CODECS=\"mp4a.40.2\"").count(),
        3,
        "{master}"
    );
    assert!(!master.contains("RESOLUTION"), "{master}");
    let one = text(&server, stream(asset, "audio-128")).await;
    assert!(
        one.contains("EXT-X-TARGETDURATION:6") && one.contains("EXT-X-ENDLIST"),
        "{one}"
    );
    lasts(asset, 20.0);
    let best = stream(asset, "audio-192");
    assert!(worst_click(&heard(best), 44_100) < CLICK);
    assert_eq!(shape(best), (2, 44_100));
    assert!((loudness(best) + 16.0).abs() < 1.0, "{}", loudness(best));
    let measured = &asset["audio"]["loudness"]["tracks"][0];
    assert!(measured["level"]["gain_db"].is_number(), "{measured}");
    let dash = asset["playback"]["dash"].as_str().unwrap();
    let manifest = text(&server, dash).await;
    assert!(
        manifest.contains("mediaPresentationDuration=\"PT20.0") && !manifest.contains("video/mp4"),
        "{manifest}"
    );
    assert!(heard(dash).len() > 44_100 * 19);

    // What stands beside it.
    for format in ["jpeg", "webp", "avif"] {
        assert_eq!(rendition(asset, "small", format)["width"], 320);
    }
    assert_eq!(rendition(asset, "cover", "jpeg")["width"], 600);
    let cover = asset["audio"]["cover"].as_str().unwrap();
    assert_eq!(fetched(&server, cover).await.0, "image/jpeg");
    assert!(asset["placeholder"]["blurhash"].is_string());
    let wave = fetched(
        &server,
        asset["audio"]["waveform"]["json"].as_str().unwrap(),
    )
    .await;
    assert_eq!(wave.0, "application/json");
    let wave: Value = serde_json::from_slice(&wave.1).unwrap();
    let pairs = wave["length"].as_u64().unwrap();
    assert_eq!(
        (&wave["version"], &wave["bits"], &wave["channels"]),
        (&json!(2), &json!(8), &json!(1))
    );
    assert_eq!(wave["data"].as_array().unwrap().len() as u64, pairs * 2);
    let samples = pairs * wave["samples_per_pixel"].as_u64().unwrap();
    assert!(samples.abs_diff(20 * 44_100) <= wave["samples_per_pixel"].as_u64().unwrap());
    let drawn = fetched(
        &server,
        asset["audio"]["waveform"]["picture"].as_str().unwrap(),
    )
    .await;
    assert_eq!((&*drawn.0, &drawn.1[1..4]), ("image/png", &b"PNG"[..]));

    // What is taken away.
    for (format, media_type) in [
        ("mp3", "audio/mpeg"),
        ("opus", "audio/ogg; codecs=opus"),
        ("m4a", "audio/mp4"),
    ] {
        let url = rendition(asset, "download", format)["url"]
            .as_str()
            .unwrap();
        let url = if url.starts_with('/') {
            server.url(url)
        } else {
            url.to_owned()
        };
        assert_eq!(fetched(&server, &url).await.0, media_type);
        assert!((loudness(&url) + 16.0).abs() < 1.0, "{format}");
        let part = server
            .http()
            .get(&url)
            .header("range", "bytes=10-19")
            .send()
            .await
            .unwrap();
        assert_eq!(part.status(), 206);
        assert_eq!(part.bytes().await.unwrap().len(), 10);
    }

    let found = server.get("/v1/assets?kind=audio&text=northern").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 1);
    let found = server.get("/v1/assets?kind=video").await;
    assert_eq!(found["items"].as_array().unwrap().len(), 0);
}

const ID3: &str = "-map 0 -map 1 -c:a libmp3lame -c:v mjpeg -pix_fmt yuvj420p -disposition:v attached_pic \
                   -id3v2_version 3";

/// What goes through the built-in recipe as a whole.
const FULL: [&str; 2] = ["cover.mp3", "silence.flac"];

#[tokio::test]
async fn what_is_sound_by_its_bytes_is_sound() {
    let folder = given::config("recipes.folder = \"recipes\"\n");
    given::write(folder.path(), "recipes/small.toml", SMALL.as_bytes());
    let at = folder.path();
    let art = "color=blue:s=64x64:r=1:d=1";
    let (tone_1s, tone_3s) = (tone(2, 44_100, 1.0), tone(2, 44_100, 3.0));
    let (with_art, voice, six) = (
        tone(2, 44_100, 7.0),
        tone(1, 48_000, 7.0),
        tone(6, 48_000, 3.0),
    );
    #[rustfmt::skip] // A table.
    let cases: &[(&str, &[&str], &str, &str, f64)] = &[
        ("cover.mp3", &[&with_art, art], ID3, "audio/mpeg", 7.0),
        ("phone.wav", &[&tone(1, 8000, 3.0)], "-c:a pcm_s16le", "audio/wav", 3.0),
        ("six.mka", &[&six], "-c:a ac3", "audio/x-matroska", 3.0),
        ("voice.opus", &[&voice], "-c:a libopus", "audio/ogg", 7.0),
        ("tune.ogg", &[&tone_3s], "-c:a libvorbis", "audio/ogg", 3.0),
        ("short.aiff", &[&tone_1s], "-c:a pcm_s16be", "audio/aiff", 1.0),
        ("book.m4a", &[&tone_3s], "-c:a aac", "audio/mp4", 3.0),
        ("late.mp4", &[&tone_3s], "-c:a aac -f mp4", "audio/mp4", 3.0),
        ("alone.webm", &[&tone_3s], "-c:a libopus", "audio/webm", 3.0),
        ("apple.caf", &[&tone_3s], "-c:a pcm_s16be", "audio/x-caf", 3.0),
        ("old.wma", &[&tone_3s], "-c:a wmav2", "audio/x-ms-wma", 3.0),
        ("silence.flac", &["anullsrc=r=44100:cl=stereo"], "-t 2 -c:a flac", "audio/flac", 2.0),
        ("large.wav", &[&tone_1s], "-c:a pcm_s16le -rf64 always", "audio/wav", 1.0),
    ];
    let server = Server::start(at);
    let mut ids = Vec::new();
    for (name, sources, args, ..) in cases {
        let bytes = made(at, name, sources, args);
        let recipe = if FULL.contains(name) {
            "audio"
        } else {
            "small"
        };
        let query = format!("?filename={name}&recipe={recipe}");
        ids.push(server.upload(&query, bytes).await);
    }
    for ((name, _, _, media_type, seconds), id) in cases.iter().zip(ids) {
        let asset = server
            .asset_when(&id, |a| a["progress"] == 1.0 || a["state"] == "failed")
            .await;
        assert_eq!(
            (&asset["state"], &asset["kind"]),
            (&json!("ready"), &json!("audio")),
            "{name}: {asset:#}"
        );
        assert_eq!(asset["original"]["media_type"], *media_type, "{name}");
        let has_cover = *name == "cover.mp3";
        assert_eq!(asset["audio"]["cover"].is_string(), has_cover, "{name}");
        if *name == "silence.flac" {
            for skipped in ["cover", "resize", "compress", "placeholder"] {
                assert_eq!(step(&asset, skipped)["state"], "skipped", "{name}");
            }
        }
        // Codecs that know no length of their own add up to two blocks of theirs.
        let known = !matches!(*name, "old.wma" | "six.mka" | "alone.webm");
        if known {
            lasts(&asset, *seconds);
        } else {
            let ms = asset["audio"]["duration_ms"].as_f64().unwrap();
            assert!((ms / 1000.0 - seconds).abs() < 0.15, "{name}: {ms}");
            heard(hls(&asset));
        }
    }
}

/// One bit rate and no downloads, so that a test with many pieces costs little.
const SMALL: &str = r#"
name = "small"
kind = "audio"
steps = [
  { name = "inspect", operation = "audio.inspect" },
  { name = "moderate", operation = "moderate", needs = ["inspect"] },
  { name = "plan", operation = "audio.plan", needs = ["inspect", "moderate"], kbps = [64] },
  { name = "encode", operation = "audio.encode", needs = ["plan"] },
  { name = "verify", operation = "audio.verify", needs = ["encode"] },
  { name = "publish", operation = "publish", needs = ["verify"] },
]
"#;

fn listed(playlist: &str) -> Vec<&str> {
    playlist.lines().filter(|l| l.ends_with(".m4s")).collect()
}

/// Nothing that is installed writes what old telephones record; silence is easily written by hand.
#[tokio::test]
async fn a_telephones_recording() {
    const FRAMES: usize = 200;
    let silence: Vec<u8> = std::iter::once(0x3c).chain([0; 31]).collect();
    let voice = [&b"#!AMR\n"[..], &silence.repeat(FRAMES)].concat();
    let folder = given::config("");
    let server = Server::start(folder.path());
    let id = server.upload("?filename=voice.amr", voice).await;
    let asset = server.asset_in(&id, "ready").await;
    assert_eq!(asset["original"]["media_type"], "audio/amr");
    lasts(&asset, FRAMES as f64 * 0.02);
}

#[tokio::test]
async fn heard_before_it_is_finished_and_whole_after_a_kill() {
    let folder = given::config("recipes.folder = \"recipes\"\n");
    given::write(folder.path(), "recipes/small.toml", SMALL.as_bytes());
    const SECONDS: f64 = 640.0;
    let sound = made(
        folder.path(),
        "a.mp3",
        &[&tone(1, 24_000, SECONDS)],
        "-c:a libmp3lame -b:a 96k",
    );
    let server = Server::start(folder.path());
    let id = server.upload("?recipe=small", sound).await;
    let early = server.asset_when(&id, |a| a["viewable"] == true).await;
    let playlist = stream(&early, "audio-64").to_owned();
    assert!(text(&server, hls(&early)).await.contains("audio-64.m3u8"));
    let growing = text(&server, &playlist).await;
    assert!(growing.contains("EXT-X-PLAYLIST-TYPE:EVENT"), "{growing}");
    assert!(!listed(&growing).is_empty());

    server.kill();
    let server = Server::start(folder.path());
    let asset = server.asset_in(&id, "ready").await;
    let playlist = stream(&asset, "audio-64").to_owned();
    let whole = text(&server, &playlist).await;
    let stayed = listed(&whole);
    assert!(
        listed(&growing).iter().all(|s| stayed.contains(s)),
        "what was listed stays"
    );
    assert!(stayed.len() > 100);
    let samples = heard(&playlist);
    let off = (samples.len() as f64 - SECONDS * 48_000.0).abs();
    assert!(off <= BLOCK, "{off}");
    let click = worst_click(&samples, 48_000);
    assert!(click < CLICK, "{click}");
}

#[tokio::test]
async fn a_signature_opens_a_private_sound_and_nothing_else_does() {
    let folder = given::config("");
    let sound = made(
        folder.path(),
        "a.wav",
        &[&tone(1, 16_000, 2.0)],
        "-c:a pcm_s16le",
    );
    let server = Server::start(folder.path());
    let id = server.upload("?visibility=private", sound).await;
    let asset = server.asset_in(&id, "ready").await;
    assert!(hls(&asset).contains("/media/s/"));
    lasts(&asset, 2.0);
    let (below, _) = hls(&asset).split_once(&id).unwrap();
    for name in [
        "hls.m3u8",
        "dash.mpd",
        "audio-128.m3u8",
        "waveform.json",
        "download.mp3",
    ] {
        let url = server.url(&format!("/media/{id}/{name}"));
        assert_eq!(
            server.http().get(url).send().await.unwrap().status(),
            404,
            "{name}"
        );
        let signed = format!("{below}{id}/{name}");
        assert_eq!(
            server.http().get(signed).send().await.unwrap().status(),
            200,
            "{name}"
        );
    }
}

#[tokio::test]
async fn what_is_damaged_or_lies_fails_with_the_true_code() {
    let folder =
        given::config("limits.video.duration_seconds_max = 60\nlimits.video.channels_max = 8\n");
    let at = folder.path();
    let server = Server::start(at);
    let whole = made(at, "a.flac", &[&tone(2, 44_100, 8.0)], "-c:a flac");
    let long = made(at, "b.flac", &[&tone(1, 8000, 90.0)], "-c:a flac");
    let many = made(at, "c.wav", &[&tone(12, 8000, 1.0)], "-c:a pcm_s16le");
    let mut noise = b"ID3\x04\0\0\0\0\0\0".to_vec();
    noise.extend((0..20_000_u32).map(|n| (n.wrapping_mul(2_654_435_761) >> 13) as u8 & 0x7f));
    let header = whole[..60].to_vec();
    for (name, bytes, code) in [
        ("long", long, "limit.duration"),
        ("many", many, "limit.channels"),
        ("noise", noise, "input.corrupt"),
        ("header", header, "input.corrupt"),
    ] {
        let id = server.upload(&format!("?filename={name}"), bytes).await;
        let asset = server
            .asset_when(&id, |a| a["state"] == "failed" || a["state"] == "ready")
            .await;
        assert_eq!(asset["error"]["code"], code, "{name}: {asset:#}");
        assert_eq!(
            (&asset["playback"], &asset["audio"]),
            (&Value::Null, &Value::Null)
        );
    }
    // What is there of a file that ends early is played.
    let cut = whole[..whole.len() / 2].to_vec();
    let id = server.upload("?filename=cut.flac", cut).await;
    let asset = server
        .asset_when(&id, |a| a["state"] == "failed" || a["state"] == "ready")
        .await;
    assert_eq!(asset["state"], "ready", "{asset:#}");
    assert_eq!(asset["inspected"]["info"]["ends_early"], true);
    let ms = asset["audio"]["duration_ms"].as_u64().unwrap();
    assert!((3000..5000).contains(&ms), "{ms}");

    // A cover that is no picture takes nothing from the sound.
    let art = "color=red:s=64x64:r=1:d=1";
    let args =
        "-map 0 -map 1 -c:a libmp3lame -c:v mjpeg -pix_fmt yuvj420p -disposition:v attached_pic";
    let mut song = made(at, "d.mp3", &[&tone(2, 44_100, 2.0), art], args);
    let jpeg = song
        .windows(3)
        .position(|w| w == [0xff, 0xd8, 0xff])
        .unwrap();
    song[jpeg + 2..jpeg + 60].fill(0xee);
    let id = server.upload("?filename=broken.mp3", song).await;
    let asset = server
        .asset_when(&id, |a| a["state"] == "failed" || a["state"] == "ready")
        .await;
    assert_eq!(asset["state"], "ready", "{asset:#}");
    assert_eq!(asset["audio"]["cover"], Value::Null);
}

#[tokio::test]
async fn a_films_sound_is_evened_out_and_its_sound_alone_can_be_asked_for() {
    let folder = given::config("recipes.folder = \"recipes\"\n");
    let recipe = include_str!("../../../../recipes/video.toml")
        .replace("name = \"video\"", "name = \"even\"")
        .replace(
            "operation = \"video.audio\"\nneeds = [\"plan\"]",
            "operation = \"video.audio\"\nneeds = [\"plan\", \"loudness\"]",
        )
        + "\n[[steps]]\nname = \"loudness\"\noperation = \"audio.loudness\"\nneeds = [\"inspect\"]\ntarget_lufs = -23\n";
    given::write(folder.path(), "recipes/even.toml", recipe.as_bytes());
    let surround = recipe
        .replace("name = \"even\"", "name = \"surround\"")
        // At 96 kbit/s six channels come out of the encoder louder than they went in.
        .replace("audio_kbps = 96", "audio_kbps = 320")
        .replace("rungs = [", "channels_max = 6\nrungs = [");
    given::write(folder.path(), "recipes/surround.toml", surround.as_bytes());
    let stereo = film(folder.path(), 2);
    let server = Server::start(folder.path());
    let id = server.upload("?recipe=even", stereo.clone()).await;
    let wide = server
        .upload("?recipe=surround", film(folder.path(), 6))
        .await;
    let alone = server.upload("?recipe=audio", stereo).await;
    let asset = server.asset_in(&id, "ready").await;
    let sound = server.url(&format!("/media/{id}/audio-96.m3u8"));
    assert!(
        (loudness(&sound) + 23.0).abs() < 1.0,
        "{}",
        loudness(&sound)
    );
    assert_eq!(asset["audio"]["loudness"]["target_lufs"], -23.0);

    let asset = server.asset_in(&wide, "ready").await;
    assert!(
        text(&server, hls(&asset)).await.contains("CHANNELS=\"6\""),
        "5.1 is kept"
    );
    let sound = server.url(&format!("/media/{wide}/audio-320.m3u8"));
    assert!(
        (loudness(&sound) + 23.0).abs() < 1.0,
        "{}",
        loudness(&sound)
    );

    let asset = server.asset_in(&alone, "ready").await;
    assert_eq!(asset["kind"], "audio");
    assert!(!text(&server, hls(&asset)).await.contains("RESOLUTION"));
    lasts(&asset, 4.0);
}

fn film(folder: &Path, channels: usize) -> Vec<u8> {
    let pictures = "testsrc2=s=128x96:r=25:d=4";
    let args = "-c:v libx264 -preset ultrafast -c:a aac -b:a 128k";
    let sound = tone(channels, 48_000, 4.0);
    let name = format!("film-{channels}.mp4");
    made(folder, &name, &[pictures, &sound], args)
}
