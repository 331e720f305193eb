//! What one upload may be beyond what all may: by the limits of the key that sends it, or of the token.

use crate::{Engine, EngineError, Recognised};
use mediaflow_core::{ErrorCode, KeyId, Kind, TenantId};
use mediaflow_store::KeyLimits;
use serde::{Deserialize, Serialize};

/// What one upload may be beyond what all may. Kept with an upload that takes several requests.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Bounds {
    /// Most bytes.
    pub bytes_max: Option<u64>,
    /// Lists of types, such as `image/jpeg` or `video/*`: the file's must be in each.
    pub types: Vec<Vec<String>>,
    /// What its key may send in a day.
    pub day: Option<DayBounds>,
}

/// What a key may send in a day.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct DayBounds {
    /// Whose use is counted.
    pub key: KeyId,
    /// Most bytes.
    pub bytes_max: Option<u64>,
    /// Most files.
    pub files_max: Option<u64>,
}

impl Bounds {
    /// What a key's limits say.
    pub fn of(key: Option<KeyId>, limits: &KeyLimits) -> Self {
        let types = limits.types.clone();
        Self {
            bytes_max: limits.file_bytes_max,
            types: Some(types).filter(|t| !t.is_empty()).into_iter().collect(),
            day: key.filter(|_| limits.counts()).map(|key| DayBounds {
                key,
                bytes_max: limits.day_bytes_max,
                files_max: limits.day_files_max,
            }),
        }
    }

    /// Narrower ones: these, and those as well.
    #[must_use]
    pub fn within(mut self, bytes_max: Option<u64>, types: &[String]) -> Self {
        self.bytes_max = self.bytes_max.into_iter().chain(bytes_max).min();
        if !types.is_empty() {
            self.types.push(types.to_vec());
        }
        self
    }

    /// # Errors
    /// `limit.type` when a file of this type is not taken.
    pub fn check_type(&self, media_type: &str) -> Result<(), EngineError> {
        let fits = |one: &String| match one.strip_suffix("/*") {
            Some(top) => media_type.split('/').next() == Some(top),
            None => one == media_type,
        };
        match self.types.iter().find(|list| !list.iter().any(fits)) {
            None => Ok(()),
            Some(list) => Err(EngineError::new(
                ErrorCode::LimitType,
                format!(
                    "the file is {media_type}; what sends it may send {}",
                    list.join(", ")
                ),
            )),
        }
    }
}

/// Whether this is a type, or all of a kind: `image/jpeg`, `video/*`.
pub fn is_type(text: &str) -> bool {
    let plain = |part: &str| {
        let fits = |b: u8| b.is_ascii_lowercase() || b.is_ascii_digit() || b"-.+".contains(&b);
        (1..=64).contains(&part.len()) && part.bytes().all(fits)
    };
    let parts = text.split_once('/');
    parts.is_some_and(|(top, sub)| plain(top) && (sub == "*" || plain(sub)))
}

impl Engine {
    /// What a file is by its beginning, if that may be sent. Whether a container holds a film or sound alone is not seen there.
    pub(crate) fn recognise_within(
        &self,
        head: &[u8],
        is_whole: bool,
        bounds: &Bounds,
    ) -> Result<Recognised, EngineError> {
        let found = self.recognise(head, is_whole)?;
        let is_sound = |list: &Vec<String>| list.iter().any(|one| one.starts_with("audio/"));
        let may_be_sound = found.kind != Kind::Image && bounds.types.iter().all(is_sound);
        if !may_be_sound {
            bounds.check_type(found.media_type)?;
        }
        Ok(found)
    }

    /// The most bytes that a file within these bounds has, and what says so.
    pub fn bytes_max(&self, bounds: &Bounds) -> (u64, &'static str) {
        let all = self.parts.limits.bytes_max;
        match bounds.bytes_max {
            Some(most) if most < all => (most, "by the limits of its key or token"),
            _ => (all, "limits.upload.bytes_max"),
        }
    }

    /// Asked before the bytes come. Files that are sent in one request and are under way at this moment are not counted.
    pub(crate) async fn check_day(
        &self,
        tenant: TenantId,
        bounds: &Bounds,
        length: Option<u64>,
    ) -> Result<(), EngineError> {
        let Some(day) = bounds.day else { return Ok(()) };
        let used = self.parts.store.usage(tenant, day.key).await?;
        let more = used.bytes.saturating_add(length.unwrap_or(1));
        let refused = |text| Err(EngineError::new(ErrorCode::LimitQuota, text));
        match (day.bytes_max, day.files_max) {
            (Some(most), _) if more > most => refused(format!(
                "the key may send {most} bytes in a day, and has sent {}; the day ends at midnight in UTC",
                used.bytes
            )),
            (_, Some(most)) if used.files >= most => refused(format!(
                "the key may send {most} files in a day, and has; the day ends at midnight in UTC"
            )),
            _ => Ok(()),
        }
    }

    /// The most bytes that an open upload may have of which nobody had said a length when it was opened: what its key has left of the
    /// day. `counted` are those that it has already.
    pub(crate) async fn room_of_day(
        &self,
        tenant: TenantId,
        bounds: &Bounds,
        counted: u64,
    ) -> Result<Option<u64>, EngineError> {
        let Some((day, most)) = bounds.day.and_then(|day| Some((day, day.bytes_max?))) else {
            return Ok(None);
        };
        let used = self.parts.store.usage(tenant, day.key).await?;
        let others = used.bytes.saturating_sub(counted);
        Ok(Some(most.saturating_sub(others)))
    }

    /// # Errors
    /// `limit.quota` when so many bytes are more than there is room for.
    pub(crate) fn check_room_of_day(
        &self,
        room: Option<u64>,
        bytes: u64,
    ) -> Result<(), EngineError> {
        match room.filter(|room| bytes > *room) {
            None => Ok(()),
            Some(room) => Err(EngineError::new(
                ErrorCode::LimitQuota,
                format!(
                    "the upload may have {room} bytes, which is what its key has left today; the day ends at midnight in UTC"
                ),
            )),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn types_are_held_against_every_list() {
        let all = Bounds::default();
        assert!(all.check_type("image/jpeg").is_ok());
        let types = |list: &[&str]| list.iter().map(|&t| t.to_owned()).collect::<Vec<_>>();
        let images = all.within(Some(9), &types(&["image/*", "video/mp4"]));
        for (media_type, fits) in [
            ("image/jpeg", true),
            ("video/mp4", true),
            ("video/webm", false),
            ("images/jpeg", false),
            ("audio/mpeg", false),
        ] {
            assert_eq!(images.check_type(media_type).is_ok(), fits, "{media_type}");
        }
        let both = images.within(Some(12), &types(&["image/png", "audio/*"]));
        assert_eq!(both.bytes_max, Some(9));
        assert!(both.check_type("image/png").is_ok());
        assert!(both.check_type("image/jpeg").is_err());
        assert!(both.check_type("audio/mpeg").is_err());
        for (text, is) in [
            ("image/*", true),
            ("image/svg+xml", true),
            ("image", false),
            ("*/*", false),
            ("Image/JPEG", false),
            ("image/", false),
        ] {
            assert_eq!(is_type(text), is, "{text}");
        }
    }
}
