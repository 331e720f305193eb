//! What players fetch below `/media/{asset}/`: playlists made at the moment of the request from what is recorded, and
//! segments, which never change.

use super::delivery::{cache, missing};
use crate::Context;
use crate::media_path::{File, MediaPath};
use crate::problem::Problem;
use crate::range::is_known;
use crate::send::{SAFE, Sending, value};
use crate::view::playlists::{self, MAPPED, Place};
use axum::body::Body;
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, header};
use axum::response::Response;
use mediaflow_core::operation::{Format, Packaging};
use mediaflow_core::{ErrorCode, Sha256, Timestamp, Visibility};
use mediaflow_engine::blob::BlobKey;
use mediaflow_engine::store::{StoreError, StreamFile, Streams, master_edition};
use mediaflow_playlist::hls::mpeg_ts;

const HLS: &str = "application/vnd.apple.mpegurl";
const DASH: &str = "application/dash+xml";

pub(super) async fn get(
    context: &Context,
    method: &Method,
    headers: &HeaderMap,
    path: &MediaPath,
    signed_until: Option<Timestamp>,
) -> Result<Response, Problem> {
    let request = Request {
        context,
        method,
        headers,
        path,
        signed_until,
    };
    match path.file {
        File::Segment(file) => request.segment(file).await,
        File::Captions => request.captions().await,
        File::Storyboard { is_vtt } => request.storyboard(is_vtt).await,
        File::Playlist | File::Manifest => request.playlist().await,
        File::Rendition(_) => Err(missing()),
    }
}

struct Request<'a> {
    context: &'a Context,
    method: &'a Method,
    headers: &'a HeaderMap,
    path: &'a MediaPath,
    signed_until: Option<Timestamp>,
}

impl Request<'_> {
    async fn segment(&self, file: StreamFile) -> Result<Response, Problem> {
        let store = self.context.engine.store();
        let found = store.segment(self.path.asset, &self.path.profile, file);
        let (blob, visibility) = found.await.map_err(unknown)?.ok_or_else(missing)?;
        self.check(visibility)?;
        // Only the address with the digest names a segment: what stands there can be kept for ever.
        if self.path.sha256 != Some(blob.sha256) {
            return Err(missing());
        }
        let media_type = match file {
            StreamFile::Init | StreamFile::Segment(Packaging::Cmaf, _) => "video/mp4",
            StreamFile::Segment(Packaging::Ts, _) => "video/mp2t",
        };
        let sending = Sending {
            key: &blob.key,
            bytes: blob.bytes,
            sha256: blob.sha256,
            headers: self.said(media_type, self.path.is_canonical),
        };
        sending
            .answer(self.context, self.method, self.headers)
            .await
    }

    async fn captions(&self) -> Result<Response, Problem> {
        let store = self.context.engine.store();
        let found = store.captions(self.path.asset).await.map_err(unknown)?;
        let profile = &*self.path.profile;
        let plain = profile.strip_suffix(MAPPED);
        let name = plain.unwrap_or(profile);
        let named = found.into_iter().find(|c| c.name == name);
        let captions = named.ok_or_else(missing)?;
        self.check(captions.visibility)?;
        let asked = self.path.sha256;
        if asked.is_some_and(|asked| asked != captions.sha256) {
            return Err(missing());
        }
        let is_lasting = asked.is_some() && self.path.is_canonical;
        if plain.is_some() {
            let key: BlobKey = captions.key.parse()?;
            let bytes = self.context.engine.blobs().get(&key).await?;
            let text = mpeg_ts::with_map(&String::from_utf8_lossy(&bytes));
            return self.text(Format::Vtt.media_type(), text, is_lasting);
        }
        let sending = Sending {
            key: &captions.key,
            bytes: captions.bytes,
            sha256: captions.sha256,
            headers: self.said(Format::Vtt.media_type(), is_lasting),
        };
        sending
            .answer(self.context, self.method, self.headers)
            .await
    }

    async fn playlist(&self) -> Result<Response, Problem> {
        let streams = self.streams().await?;
        let store = self.context.engine.store();
        let captions = store.captions(self.path.asset).await.map_err(unknown)?;
        let finished = master_edition(streams.edition, &captions);
        let (place, is_master) = match self.path.sha256 {
            None => (Place::Stable, true),
            Some(asked) => (Place::Lasting, streams.published && asked == finished),
        };
        let name = &*self.path.profile;
        let (media_type, text) = match (self.path.file, self.path.sha256) {
            (File::Manifest, _) if is_master => (DASH, playlists::dash(&streams, &captions, place)),
            (_, _) if name == "hls" && is_master => {
                (HLS, playlists::master(&streams, &captions, place))
            }
            (_, None) => (HLS, playlists::growing(&streams, name)),
            (_, Some(asked)) if asked == streams.edition => {
                (HLS, playlists::finished(&streams, name))
            }
            (_, Some(asked)) => {
                let mut all = captions.iter();
                let found = all.find(|c| c.name == name && c.sha256 == asked);
                (HLS, found.and_then(|c| playlists::captions(&streams, c)))
            }
        };
        let is_lasting = place == Place::Lasting && self.path.is_canonical;
        self.text(media_type, text.ok_or_else(missing)?, is_lasting)
    }

    async fn storyboard(&self, is_vtt: bool) -> Result<Response, Problem> {
        let store = self.context.engine.store();
        let found = self.context.lookups.renditions(store, self.path.asset);
        let found = found.await.map_err(unknown)?;
        let sheet = found.iter().find(|s| s.rendition.profile == "storyboard-0");
        let sheet = sheet.ok_or_else(missing)?;
        self.check(sheet.visibility)?;
        // Follows from the film alone: what a run that is not published yet found is true of the published sheets.
        let facts = store.found(self.path.asset, None, "video.storyboard");
        let facts = facts.await.map_err(unknown)?.ok_or_else(missing)?;
        match is_vtt {
            true => self.text(
                "text/vtt",
                facts["vtt"].as_str().unwrap_or_default().to_owned(),
                false,
            ),
            false => self.text("application/json", facts["manifest"].to_string(), false),
        }
    }

    async fn streams(&self) -> Result<Streams, Problem> {
        let store = self.context.engine.store();
        let streams = store.streams(self.path.asset).await.map_err(unknown)?;
        if streams.tracks.is_empty() {
            return Err(missing());
        }
        self.check(streams.visibility)?;
        Ok(streams)
    }

    /// To who has no signed address a private asset does not exist.
    fn check(&self, visibility: Visibility) -> Result<(), Problem> {
        match (visibility, self.signed_until) {
            (Visibility::Private, None) => Err(missing()),
            _ => Ok(()),
        }
    }

    fn said(&self, media_type: &'static str, is_lasting: bool) -> Vec<(HeaderName, HeaderValue)> {
        let policy = HeaderName::from_static("cross-origin-resource-policy");
        vec![
            (header::CONTENT_TYPE, HeaderValue::from_static(media_type)),
            (
                header::CACHE_CONTROL,
                cache(self.context, self.signed_until, is_lasting),
            ),
            (policy, HeaderValue::from_static("cross-origin")),
        ]
    }

    /// A small text that was made for this request.
    fn text(
        &self,
        media_type: &'static str,
        text: String,
        is_lasting: bool,
    ) -> Result<Response, Problem> {
        let etag = format!("\"{}\"", Sha256::of(text.as_bytes()));
        let mut response = Response::new(Body::empty());
        let headers = response.headers_mut();
        headers.extend(self.said(media_type, is_lasting));
        // A playlist that still grows is asked for again by who watches; none may be shown a shorter one later.
        if !is_lasting {
            let asked_again = match self.signed_until {
                None => "no-cache",
                Some(_) => "private, no-cache",
            };
            headers.insert(header::CACHE_CONTROL, HeaderValue::from_static(asked_again));
        }
        for (name, text) in SAFE {
            headers.insert(name, HeaderValue::from_static(text));
        }
        headers.insert(header::ETAG, value(etag.clone()));
        if is_known(self.headers, &etag) {
            headers.remove(header::CONTENT_TYPE);
            *response.status_mut() = StatusCode::NOT_MODIFIED;
            return Ok(response);
        }
        headers.insert(header::CONTENT_LENGTH, text.len().into());
        if self.method != Method::HEAD {
            *response.body_mut() = Body::from(text);
        }
        Ok(response)
    }
}

fn unknown(error: StoreError) -> Problem {
    match error.code() {
        ErrorCode::AssetNotFound => missing(),
        _ => error.into(),
    }
}
