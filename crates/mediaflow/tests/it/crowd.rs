//! Uploads that go on while things break, and what must hold of them afterwards.

use crate::server::{PATIENCE, Server};
use crate::{given, pictures};
use serde_json::Value;
use sha2::{Digest as _, Sha256};
use std::collections::BTreeSet;
use std::path::Path;
use std::sync::atomic::{AtomicU32, Ordering};
use std::time::{Duration, Instant};

/// Where servers find [`write_recipe`]'s recipe.
pub(crate) const RECIPES: &str = "[recipes]\nfolder = \"recipes\"\n";

/// What is broken is the pipeline: encoders at their fastest leave more moments for it.
pub(crate) fn write_recipe(folder: &Path) {
    let recipe = include_str!("../../../../recipes/image.toml");
    let fast = recipe.replace("quality = 62 }", "quality = 62, effort = 9 }");
    given::write(folder, "recipes/image.toml", fast.as_bytes());
}

/// An upload that was answered 202.
pub(crate) struct Upload {
    pub(crate) id: String,
    pub(crate) sha256: String,
}

/// Pictures that are all different but of one size. Encoding them is not what is tested, so few are made and
/// told apart by a comment at their end.
pub(crate) struct Pictures {
    templates: Vec<Vec<u8>>,
    made: AtomicU32,
}

impl Default for Pictures {
    fn default() -> Self {
        let templates = (0..4).map(|seed| pictures::photo(360, 270, seed)).collect();
        Self {
            templates,
            made: AtomicU32::new(0),
        }
    }
}

impl Pictures {
    pub(crate) fn next(&self) -> Vec<u8> {
        let n = self.made.fetch_add(1, Ordering::Relaxed);
        // One in four is a repeat, so that deduplication is killed too.
        let n = if n % 4 == 3 { n - 3 } else { n };
        let template = &self.templates[n as usize % self.templates.len()];
        let comment = n.to_be_bytes();
        [
            &template[..2],
            &[0xff, 0xfe, 0, 6],
            &comment,
            &template[2..],
        ]
        .concat()
    }
}

/// Uploads the next picture; nothing where the server asks to come again later.
///
/// # Errors
/// When the connection is lost before the head of the answer.
pub(crate) async fn upload(
    http: &reqwest::Client,
    base: &str,
    pictures: &Pictures,
) -> Result<Option<Upload>, reqwest::Error> {
    let bytes = pictures.next();
    let sha256 = hex::encode(Sha256::digest(&bytes));
    let request = http.post(format!("{base}/v1/assets")).body(bytes);
    let answer = request.send().await?;
    let status = answer.status().as_u16();
    // The head was an answer already, whether or not the rest arrives.
    match (status, answer.headers().get("location")) {
        (202, Some(location)) => {
            let id = location.to_str().unwrap().rsplit('/').next().unwrap();
            let id = id.to_owned();
            Ok(Some(Upload { id, sha256 }))
        }
        (429 | 503 | 507, _) => Ok(None),
        _ => panic!("{status}: {}", answer.text().await.unwrap_or_default()),
    }
}

/// What one picture of a crowd may take on a busy machine, as a development build.
const EACH_MAX: Duration = Duration::from_secs(3);

pub(crate) async fn all_settled(server: &Server, accepted: &[Upload]) -> Vec<Value> {
    let (began, mut left) = (Instant::now(), at_work(server).await);
    // After a thousand kills there is more to do than patience is for, and all become viewable before the first ends.
    let most = PATIENCE + EACH_MAX * u32::try_from(left).unwrap();
    while left > 0 {
        assert!(began.elapsed() < most, "{left} assets do not end");
        tokio::time::sleep(Duration::from_millis(500)).await;
        left = at_work(server).await;
    }
    let mut assets = Vec::new();
    for upload in accepted {
        let is_settled =
            |asset: &Value| !matches!(asset["state"].as_str(), Some("uploaded" | "processing"));
        assets.push(server.asset_when(&upload.id, is_settled).await);
    }
    assets
}

/// Assets that are neither ready nor given up.
async fn at_work(server: &Server) -> u64 {
    let answer = server.http().get(server.url("/metrics")).send().await;
    let text = answer.unwrap().text().await.unwrap();
    let open =
        ["uploaded", "processing"].map(|state| format!("mediaflow_assets{{state=\"{state}\"}} "));
    let of = |line: &str| {
        let count = open
            .iter()
            .find_map(|name| line.strip_prefix(name.as_str()))?;
        Some(count.parse::<u64>().unwrap())
    };
    text.lines().filter_map(of).sum()
}

/// Answers which renditions there are.
pub(crate) async fn every_rendition_is_whole(server: &Server, asset: &Value) -> Vec<String> {
    let mut shape = Vec::new();
    for rendition in asset["renditions"].as_array().unwrap() {
        let name = format!(
            "{}.{}",
            rendition["profile"].as_str().unwrap(),
            rendition["format"].as_str().unwrap()
        );
        // Addresses begin with the host that was asked, which was another port before a restart.
        let url = rendition["url"].as_str().unwrap();
        let url = server.url(&url[url.find("/media/").unwrap()..]);
        let answer = server.http().get(&url).send().await.unwrap();
        assert_eq!(answer.status(), 200, "{url}");
        let bytes = answer.bytes().await.unwrap();
        assert_eq!(
            hex::encode(Sha256::digest(&bytes)),
            rendition["sha256"].as_str().unwrap(),
            "{url}"
        );
        assert_eq!(bytes.len() as u64, rendition["bytes"].as_u64().unwrap());
        shape.push(name);
    }
    let distinct: BTreeSet<_> = shape.iter().collect();
    assert_eq!(distinct.len(), shape.len(), "nothing is made twice visible");
    shape.sort();
    shape
}

pub(crate) async fn none_unfinished(server: &Server) {
    for state in ["uploaded", "processing"] {
        let began = Instant::now();
        loop {
            let page = server
                .get(&format!("/v1/assets?state={state}&limit=1"))
                .await;
            if page["items"].as_array().unwrap().is_empty() {
                break;
            }
            assert!(began.elapsed() < PATIENCE, "still {state}: {page:#}");
            tokio::time::sleep(Duration::from_millis(100)).await;
        }
    }
}

/// A small generator: the same seed kills at the same moments.
pub(crate) struct Random(pub(crate) u64);

impl Random {
    pub(crate) fn below(&mut self, end: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        (self.0 >> 33) % end
    }
}
