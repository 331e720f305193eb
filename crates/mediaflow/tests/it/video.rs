//! Videos against the real binary: watched before they are finished, whole after a kill, checked by ffmpeg as any player.

use crate::films::{RATE, SECONDS, film};
use crate::given;
use crate::server::{PATIENCE, Server};
use mediaflow_media::image;
use serde_json::Value;
use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

/// How many pictures of the best stream, and of samples of sound, a player can decode from this address; it may not
/// complain about anything.
fn played(url: &str) -> (u32, u32) {
    let count = |stream: &str| {
        let out = Command::new("ffprobe")
            .args(["-v", "error", "-count_frames", "-select_streams", stream])
            .args([
                "-show_entries",
                "stream=nb_read_frames,width",
                "-of",
                "json",
                url,
            ])
            .output()
            .unwrap();
        let said = String::from_utf8_lossy(&out.stderr).into_owned();
        assert!(out.status.success() && said.is_empty(), "{said}");
        let found: Value = serde_json::from_slice(&out.stdout).unwrap();
        let streams = found["streams"].as_array().unwrap();
        let counted = streams.iter().filter(|s| s["nb_read_frames"].is_string());
        let best = counted.max_by_key(|s| s["width"].as_u64()).unwrap();
        best["nb_read_frames"].as_str().unwrap().parse().unwrap()
    };
    (count("v"), count("a"))
}

async fn text(server: &Server, url: &str) -> String {
    let answer = server.http().get(url).send().await.unwrap();
    assert_eq!(answer.status(), 200, "{url}");
    assert_eq!(answer.headers()["x-content-type-options"], "nosniff");
    answer.text().await.unwrap()
}

/// The address of the line of this playlist that has `name` in it.
fn named_in(playlist: &str, text: &str, name: &str) -> String {
    let words = text.split(['\n', '"']);
    let mut found = words.filter(|w| w.contains(name) && !w.starts_with('#'));
    let found = found
        .next()
        .unwrap_or_else(|| panic!("no {name} in {text}"));
    let base = reqwest::Url::parse(playlist).unwrap();
    base.join(found).unwrap().to_string()
}

#[tokio::test]
async fn a_video_can_be_watched_before_it_is_finished_and_survives_a_kill() {
    let folder = given::config("");
    let film = film(folder.path(), "a.mp4", "1280x720", &[]);
    let server = Server::start(folder.path());
    let id = server.upload("?filename=a.mp4", film).await;
    let early = server.asset_when(&id, |a| a["viewable"] == true).await;
    let hls = early["playback"]["hls"].as_str().unwrap().to_owned();
    assert!(text(&server, &hls).await.contains("360p.m3u8"));
    let growing = text(&server, &hls.replace("hls.m3u8", "360p.m3u8")).await;
    assert!(growing.contains("EXT-X-PLAYLIST-TYPE:EVENT"), "{growing}");
    let listed: Vec<&str> = growing.lines().filter(|l| l.ends_with(".m4s")).collect();
    assert!(!listed.is_empty());

    server.kill();
    let server = Server::start(folder.path());
    let asset = server.asset_in(&id, "ready").await;
    let hls = asset["playback"]["hls"].as_str().unwrap();
    let master = text(&server, hls).await;
    for rung in ["360p.m3u8", "720p.m3u8", "I-FRAME-STREAM-INF", "TYPE=AUDIO"] {
        assert!(master.contains(rung), "{master}");
    }
    assert!(!master.contains("1080p"), "nothing is enlarged");
    let whole = text(&server, &named_in(hls, &master, "360p.m3u8")).await;
    assert!(whole.contains("EXT-X-PLAYLIST-TYPE:VOD"), "{whole}");
    assert!(whole.contains("EXT-X-ENDLIST"));
    // Who began early goes on with the same playlist at the same address.
    let grown = server.url(&format!("/media/{id}/360p.m3u8"));
    let grown = text(&server, &grown).await;
    assert!(grown.contains("EXT-X-PLAYLIST-TYPE:EVENT"), "{grown}");
    assert!(grown.contains("EXT-X-ENDLIST"));
    for segment in listed {
        assert!(grown.contains(segment), "what was listed stays");
        assert!(whole.contains(segment), "and is found again");
    }
    for url in [hls, &named_in(hls, &master, "360p.m3u8")] {
        let answer = server.http().get(url).send().await.unwrap();
        let cache = answer.headers()["cache-control"].to_str().unwrap();
        assert!(cache.contains("immutable"), "{cache}");
    }
    let stable = server.url(&format!("/media/{id}/hls.m3u8"));
    assert_eq!(played(&stable).0, SECONDS * RATE);
    moments(&server, &id).await;
    let (pictures, sound) = played(hls);
    assert_eq!(pictures, SECONDS * RATE);
    let blocks = SECONDS * 44_100 / 1024;
    assert!(
        sound.abs_diff(blocks) <= 2,
        "{sound} of {blocks} blocks of sound"
    );

    let dash = text(&server, asset["playback"]["dash"].as_str().unwrap()).await;
    assert!(dash.contains("<MPD"));
    let vtt = text(&server, asset["storyboard"]["vtt"].as_str().unwrap()).await;
    assert!(vtt.starts_with("WEBVTT"));
    let poster = asset["poster"].as_str().unwrap();
    assert_eq!(
        server.http().get(poster).send().await.unwrap().status(),
        200
    );
    assert!(asset["placeholder"]["blurhash"].is_string());
    let began = Instant::now();
    while scratch_is_used(folder.path()) {
        assert!(began.elapsed() < PATIENCE, "temporary files stay");
    }
}

/// Whether there is anything in the folders of processes.
fn scratch_is_used(folder: &Path) -> bool {
    let processes = std::fs::read_dir(folder.join("data/scratch")).unwrap();
    let own = processes.filter_map(|p| std::fs::read_dir(p.unwrap().path()).ok());
    own.flatten().count() > 0
}

/// Pictures of moments of the film with the running counter.
async fn moments(server: &Server, id: &str) {
    let at = |query: &str| server.url(&format!("/media/{id}/thumbnail?{query}"));
    let mut seen = Vec::new();
    for (query, accept, kind, width) in [
        ("time=0", "image/webp", "webp", 640),
        ("time=6.5", "*/*", "jpeg", 640),
        ("time=13.3&width=900", "image/avif,image/webp", "avif", 900),
        ("time=13.3&width=64", "image/png", "jpeg", 64),
    ] {
        let request = server.http().get(at(query)).header("accept", accept);
        let answer = request.send().await.unwrap();
        assert_eq!(answer.status(), 200, "{query}");
        assert_eq!(answer.headers()["content-type"], *format!("image/{kind}"));
        assert_eq!(answer.headers()["vary"], "Accept");
        let etag = answer.headers()["etag"].clone();
        let bytes = answer.bytes().await.unwrap();
        let found = match kind {
            "avif" => image::heif::dimensions(&bytes).unwrap().0,
            _ => {
                let probed = image::probe(&bytes, &Default::default(), None);
                probed.unwrap().width
            }
        };
        assert_eq!(found, width, "{query}");
        let again = server.http().get(at(query)).header("accept", accept);
        let again = again.header("if-none-match", etag).send().await.unwrap();
        assert_eq!(again.status(), 304, "{query}");
        seen.push(bytes);
    }
    assert!(seen[0] != seen[1]);
    for (query, status, code) in [
        ("time=25", 422, "request.time"),
        ("time=-1", 400, "request.invalid"),
        ("time=1&width=1", 400, "request.invalid"),
        ("time=1&size=1", 400, "request.invalid"),
    ] {
        let answer = server.http().get(at(query)).send().await.unwrap();
        assert_eq!(answer.status(), status, "{query}");
        let problem: Value = answer.json().await.unwrap();
        assert_eq!(problem["code"], code, "{query}");
    }
    let picture = server
        .http()
        .get(server.url(&format!("/media/{id}/thumbnail")));
    let picture = picture.send().await.unwrap().bytes().await.unwrap();
    assert!(
        !seen.contains(&picture),
        "without a time it is the poster's"
    );
}

#[tokio::test]
async fn a_signature_opens_a_private_stream_as_a_whole() {
    let folder = given::config("");
    let film = film(folder.path(), "a.mp4", "320x180", &["-t", "5"]);
    let server = Server::start(folder.path());
    let id = server.upload("?visibility=private", film).await;
    let asset = server.asset_in(&id, "ready").await;
    let signed = asset["playback"]["hls"].as_str().unwrap();
    assert!(signed.contains("/media/s/"));
    assert_eq!(played(signed).0, 5 * RATE);
    let (_, inside) = signed.split_once(&*id).unwrap();
    for open in ["/hls.m3u8", "/360p.m3u8", "/thumbnail?time=1", inside] {
        let open = server.url(&format!("/media/{id}{open}"));
        assert_eq!(server.http().get(open).send().await.unwrap().status(), 404);
    }
    let (prefix, _) = signed.split_once(inside).unwrap();
    let still = server.http().get(format!("{prefix}/thumbnail?time=1"));
    assert_eq!(still.send().await.unwrap().status(), 200);
}

#[tokio::test]
async fn a_transport_stream_without_an_index_and_without_sound() {
    let folder = given::config("");
    let film = film(folder.path(), "a.ts", "320x180", &["-t", "8", "-an"]);
    let server = Server::start(folder.path());
    let id = server.upload("", film).await;
    let asset = server.asset_in(&id, "ready").await;
    assert_eq!(asset["original"]["media_type"], "video/mp2t");
    let tasks = asset["tasks"].as_array().unwrap();
    let audio = tasks.iter().find(|t| t["step"] == "audio").unwrap();
    assert_eq!(audio["state"], "skipped");
    let hls = asset["playback"]["hls"].as_str().unwrap();
    let master = text(&server, hls).await;
    assert!(!master.contains("AUDIO"), "{master}");
    assert!(master.contains("RESOLUTION=320x180"), "{master}");

    let storyboard = asset["storyboard"]["vtt"].as_str().unwrap();
    let path = format!("/v1/assets/{id}");
    assert_eq!(server.post(&format!("{path}/reprocess"), "{}").await.0, 202);
    let began = Instant::now();
    while server.get(&path).await["published_generation"] != 2 {
        assert!(text(&server, storyboard).await.starts_with("WEBVTT"));
        assert!(began.elapsed() < PATIENCE, "never published again");
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}

#[tokio::test]
async fn a_recipe_can_ask_for_one_file_to_take_away() {
    let folder = given::config("[recipes]\nfolder = \"recipes\"\n");
    let recipe = include_str!("../../../../recipes/video.toml");
    let step = "[[steps]]\nname = \"download\"\noperation = \"video.download\"\nneeds = [\"verify\"]\nrung = \"1080p\"\n";
    let recipe = recipe.replace("needs = [\"verify\",", "needs = [\"download\",") + step;
    given::write(folder.path(), "recipes/video.toml", recipe.as_bytes());
    let film = film(folder.path(), "a.mp4", "1280x720", &["-t", "7"]);
    let server = Server::start(folder.path());
    let id = server.upload("", film).await;
    let asset = server.asset_in(&id, "ready").await;
    let url = asset["playback"]["download"].as_str().unwrap();
    let part = server.http().get(url).header("range", "bytes=0-99999");
    let part = part.send().await.unwrap();
    assert_eq!(part.status(), 206);
    assert_eq!(part.headers()["content-type"], "video/mp4");
    let disposition = part.headers()["content-disposition"].to_str().unwrap();
    assert!(disposition.starts_with("attachment"), "{disposition}");
    let head = part.bytes().await.unwrap();
    let place = |name: &[u8]| head.windows(4).position(|w| w == name);
    assert!(place(b"moov").unwrap() < place(b"mdat").unwrap());
    let (pictures, sound) = played(url);
    assert_eq!(pictures, 7 * RATE);
    assert!(sound.abs_diff(7 * 44_100 / 1024) <= 2, "{sound}");
    let renditions = asset["renditions"].as_array().unwrap();
    let file = renditions.iter().find(|r| r["profile"] == "download");
    assert_eq!(file.unwrap()["height"], 720);
}

#[tokio::test]
async fn captions_are_found_given_and_taken_away() {
    let folder = given::config("");
    let said = "1\n00:00:01,000 --> 00:00:02,000\nHello <b>there</b>\n";
    given::write(folder.path(), "a.srt", said.as_bytes());
    let made = film(folder.path(), "a.mp4", "320x180", &["-t", "5"]);
    given::write(folder.path(), "b.mp4", &made);
    let muxed = Command::new("ffmpeg")
        .current_dir(folder.path())
        .args([
            "-v", "error", "-i", "b.mp4", "-i", "a.srt", "-map", "0", "-map", "1",
        ])
        .args(["-c", "copy", "-metadata:s:s:0", "language=ger", "a.mkv"])
        .status()
        .unwrap();
    assert!(muxed.success());
    let film = std::fs::read(folder.path().join("a.mkv")).unwrap();
    let server = Server::start(folder.path());
    let id = server.upload("", film).await;
    let asset = server.asset_in(&id, "ready").await;
    let captions = &asset["captions"][0];
    assert_eq!(captions["language"], "de");
    assert_eq!(captions["label"], "German");
    let url = captions["url"].as_str().unwrap();
    assert!(url.ends_with("/captions-de.vtt"), "{url}");
    let vtt = text(&server, url).await;
    assert!(
        vtt.starts_with("WEBVTT") && vtt.contains("Hello <b>there</b>"),
        "{vtt}"
    );

    assert_eq!(asset["media"]["codec"], "h264");
    assert_eq!(asset["media"]["container"], "matroska");
    for (query, finds) in [
        ("codec=h264&container=matroska&has_sound=true", true),
        ("codec=hevc", false),
        ("duration_min=4.9&duration_max=5.2&frame_rate_min=30", true),
        ("duration_max=4", false),
        ("width_min=320&width_max=320&height_max=179", false),
        ("hdr=hlg", false),
        ("text=matroska+lavf", true),
    ] {
        let found = server.get(&format!("/v1/assets?{query}")).await;
        let count = found["items"].as_array().unwrap().len();
        assert_eq!(count, usize::from(finds), "{query}");
    }

    let given = server.url(&format!(
        "/v1/assets/{id}/captions/en?label=English+%22CC%22"
    ));
    let put = |body: &str| server.http().put(&given).body(body.to_owned()).send();
    assert_eq!(put("nonsense").await.unwrap().status(), 422);
    assert_eq!(put(said).await.unwrap().status(), 204);
    let asset = server.get(&format!("/v1/assets/{id}")).await;
    assert_eq!(asset["captions"].as_array().unwrap().len(), 2);
    let hls = asset["playback"]["hls"].as_str().unwrap();
    let master = text(&server, hls).await;
    let named = "TYPE=SUBTITLES,GROUP-ID=\"captions\",NAME=\"English 'CC'\",LANGUAGE=\"en\"";
    assert!(
        master.contains(named) && master.contains("SUBTITLES=\"captions\""),
        "{master}"
    );
    let list = text(&server, &named_in(hls, &master, "captions-en.m3u8")).await;
    assert!(list.contains("#EXT-X-TARGETDURATION:5\n#"), "{list}");
    let vtt = text(&server, &named_in(hls, &list, "captions-en.vtt")).await;
    assert!(
        vtt.contains("00:00:01.000 --> 00:00:02.000\nHello <b>there</b>"),
        "{vtt}"
    );
    assert_eq!(played(hls).0, 5 * RATE);
    let dash = text(&server, asset["playback"]["dash"].as_str().unwrap()).await;
    assert!(
        dash.contains("contentType=\"text\" mimeType=\"text/vtt\" lang=\"en\""),
        "{dash}"
    );

    let gone = server.http().delete(&given).send().await.unwrap();
    assert_eq!(gone.status(), 400, "a parameter that means nothing here");
    let given = given.split('?').next().unwrap();
    for status in [204, 404] {
        assert_eq!(
            server.http().delete(given).send().await.unwrap().status(),
            status
        );
    }
    let asset = server.get(&format!("/v1/assets/{id}")).await;
    assert_eq!(asset["captions"].as_array().unwrap().len(), 1);
}

#[tokio::test]
async fn files_that_are_no_videos_get_nothing() {
    let folder = given::config("");
    let film = film(folder.path(), "a.mp4", "320x180", &["-t", "5"]);
    let server = Server::start(folder.path());
    let cut = film[..film.len() / 2].to_vec();
    let playlist = b"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile:///etc/passwd\n".to_vec();
    let concat = b"ffconcat version 1.0\nfile /etc/passwd\n".to_vec();
    for (bytes, expected) in [(playlist, 415), (concat, 415)] {
        let (status, problem) = server.post("/v1/assets", bytes).await;
        assert_eq!(status, expected, "{problem}");
    }
    let id = server.upload("?filename=cut.mp4", cut).await;
    let asset = server.asset_in(&id, "failed").await;
    assert_eq!(asset["error"]["code"], "input.corrupt");
    assert_eq!(asset["playback"], Value::Null);
}
