//! The stable error codes: the one list that the API, the history and the documentation share.

use serde::{Deserialize, Serialize};

macro_rules! codes {
    ($($variant:ident $text:literal $status:literal $meaning:literal;)*) => {
        /// A stable, machine-readable reason. Its text never changes once released.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Serialize, Deserialize)]
        pub enum ErrorCode {
            $(#[doc = $meaning] #[serde(rename = $text)] $variant,)*
        }

        impl ErrorCode {
            /// Every code, in the order of the documentation.
            pub const ALL: &'static [Self] = &[$(Self::$variant,)*];

            /// The text that clients compare with.
            pub const fn as_str(self) -> &'static str {
                match self { $(Self::$variant => $text,)* }
            }

            /// The HTTP status of an answer that carries this code.
            pub const fn status(self) -> u16 {
                match self { $(Self::$variant => $status,)* }
            }

            /// What it means and what to do, for the documentation.
            pub const fn meaning(self) -> &'static str {
                match self { $(Self::$variant => $meaning,)* }
            }

            /// The code of that text.
            pub fn parse(text: &str) -> Option<Self> {
                match text { $($text => Some(Self::$variant),)* _ => None }
            }
        }
    };
}

codes! {
    InputEmpty "input.empty" 422 "The upload has no bytes.";
    InputCorrupt "input.corrupt" 422 "The file is damaged or ends early. Export or upload it again; retrying the same bytes cannot help.";
    InputUnsupported "input.unsupported" 415 "The file's real type (found from its bytes, not its name) is not handled, or uses a feature that is not.";
    InputDigest "input.digest" 422 "The uploaded bytes do not have the SHA-256 that the client announced: they changed on the way.";
    InputInterrupted "input.interrupted" 400 "The connection ended before the whole body arrived. Nothing was kept; send it again.";
    CaptionsInvalid "captions.invalid" 422 "The captions are neither WebVTT nor SubRip in UTF-8, or are too long; the text names the line.";
    LimitBytes "limit.bytes" 413 "There are more bytes than may be. The text says what allows how many: `limits.upload.bytes_max`, the limits of a key or an upload token, or what the upload was announced with.";
    LimitPixels "limit.pixels" 422 "The picture has more pixels than `limits.image.pixels_max`, or a side longer than `limits.image.side_max`.";
    LimitFrames "limit.frames" 422 "The animation has more frames, or more pixels over all frames, than `limits.image` allows.";
    LimitDuration "limit.duration" 422 "The media lasts longer than `limits.video.duration_seconds_max`.";
    LimitFrameRate "limit.frame_rate" 422 "The video has more pictures per second than `limits.video` allows.";
    LimitStreams "limit.streams" 422 "The file has more streams than `limits.video.streams_max`.";
    LimitChannels "limit.channels" 422 "A stream of sound has more channels than `limits.video.channels_max`.";
    LimitSampleRate "limit.sample_rate" 422 "A stream of sound has more samples per second than `limits.video.sample_rate_max`.";
    LimitPackets "limit.packets" 422 "The file is cut into more packets (16,777,216) than any film of an allowed length can need.";
    LimitOutput "limit.output" 422 "A program wrote far more than the media it was given can need.";
    LimitMemory "limit.memory" 422 "The task needs more memory than a worker's whole budget (`worker.memory_bytes`).";
    LimitMetadata "limit.metadata" 422 "Title, tags, metadata or a text block inside the file exceed their limits.";
    LimitTasks "limit.tasks" 422 "The recipe would expand to more tasks than `limits.tasks_max`.";
    LimitRate "limit.rate" 429 "Too much is waiting already. Try again after the time in `Retry-After`.";
    LimitType "limit.type" 415 "What sends the file may not send files of this type: the limits of the API key, or the upload token, list what it may send.";
    LimitQuota "limit.quota" 429 "The API key has sent as much as it may in a day (`mediaflow keys limit`). The day ends at midnight in UTC; `Retry-After` tells when that is.";
    UploadNotFound "upload.not_found" 404 "There is no such upload. It was deleted, or its time is over (`retention.uploads_hours` without progress); begin a new one.";
    UploadOffset "upload.offset" 409 "The bytes do not begin where the upload ends. Ask with HEAD how far it is, and go on from there.";
    UploadLength "upload.length" 400 "A request gives the upload another length than was given before, or than its own bytes have. Ask with HEAD how far it is, and say one length.";
    UploadTaken "upload.taken" 423 "A newer request for the same upload has taken it over. What had arrived until then is kept; ask with HEAD how far it is.";
    UploadChecksum "upload.checksum" 460 "The bytes do not have the checksum that the client sent with them: they changed on the way. None of them was kept; send them again.";
    UploadVersion "upload.version" 412 "The server speaks tus 1.0.0; `Tus-Resumable` must say so.";
    UploadType "upload.type" 415 "Bytes of an upload are sent as `Content-Type: application/offset+octet-stream` to `/v1/tus`, and as `application/partial-upload` to `/v1/resumable`.";
    UploadIncomplete "upload.incomplete" 409 "The upload's bytes are not where they should come, or not all of them, or a part has another `etag` than was named. Send what is missing and complete it again.";
    UploadSize "upload.size" 422 "Other than as many bytes as were announced have come. Nothing was kept; begin a new upload.";
    UploadFinal "upload.final" 403 "The upload consists of others, which were joined. It takes no bytes of its own.";
    UploadExists "upload.exists" 412 "These bytes have come before, and are not replaced. Complete the upload.";
    ImportUrl "import.url" 422 "Files are imported from http and https addresses without a name or password in them, at the ports of `ingest.import.ports`.";
    ImportAddress "import.address" 422 "The address leads into a network that is not public: this machine's, a private or a reserved one. Operators allow networks with `ingest.import.allow`.";
    ImportRefused "import.refused" 502 "The other server does not give the file: it answers with an error that trying again does not mend, with too many redirects, or with something else than the file's bytes. The text has its answer.";
    ImportFailed "import.failed" 502 "The other server could not be reached, broke off or was too slow, and kept doing so until the import was given up.";
    ImportNotFound "import.not_found" 404 "There is no such import. It was ended, or is over since `retention.uploads_hours`.";
    WatchUnreadable "watch.unreadable" 422 "A watched folder, or a file in it, cannot be read or taken away; the text tells why. Give MediaFlow's user the right to, and touch the file to have it taken.";
    HookRefused "hook.refused" 403 "The operator's own rules refuse the file (`ingest.hook`); the text is theirs, and they may give the answer another status from 400 to 499.";
    HookUnavailable "hook.unavailable" 503 "Who decides about files (`ingest.hook`) did not answer. Try again later.";
    SwitchOff "switch.off" 503 "An operator has switched uploads off for now (`mediaflow switches`). Reading goes on; try again later.";
    TenantNotFound "tenant.not_found" 404 "There is no such tenant.";
    KeyNotFound "key.not_found" 404 "There is no such API key.";
    SwitchNotFound "switch.not_found" 404 "There is no such switch.";
    LimitWebhooks "limit.webhooks" 409 "The tenant has as many webhooks as it may (`webhooks.count_max`). Remove one first.";
    WebhookNotFound "webhook.not_found" 404 "There is no such webhook.";
    WebhookUrl "webhook.url" 422 "Webhooks are http and https addresses without a name or password in them, at port 80, 443 or one from 1024 on.";
    WebhookAddress "webhook.address" 422 "The address leads into a network that is not public: this machine's, a private or a reserved one. Operators allow networks with `webhooks.allow`.";
    WebhookDisabled "webhook.disabled" 403 "The operator has switched webhooks off (`webhooks.enabled`).";
    DeliveryNotFound "delivery.not_found" 404 "The webhook has no delivery of this event: it was not for it, or `webhooks.deliveries_days` are over.";
    LimitStorage "limit.storage" 507 "The disk has less free space than `limits.upload.free_bytes_min`. Uploads are refused; reading and deleting go on.";
    Timeout "timeout" 504 "The work took longer than its step allows.";
    WorkerLost "worker.lost" 500 "The process that worked on the task vanished. Counted as an attempt; after four losses while running alone the task is quarantined.";
    DecoderCrashed "decoder.crashed" 500 "A decoder panicked or its process died on this file. The file is isolated; nothing else is affected.";
    EncoderFailed "encoder.failed" 500 "An encoder refused its input. Please report it with the asset's id.";
    EncoderMissing "encoder.missing" 500 "The recipe wants a codec that the installed ffmpeg cannot encode; `mediaflow doctor` lists those it can. Install a build that has it and replay the task, or change the recipe.";
    OutputMismatch "output.mismatch" 500 "A part of a stream does not fit the parts that other workers made: their encoders differ. Retried; install the same build everywhere.";
    OutputInvalid "output.invalid" 500 "What was made was decoded again and is not what it should be. It is not shown.";
    SandboxUnavailable "sandbox.unavailable" 500 "`sandbox = \"require\"` is set and this kernel or container does not give what it needs. See `mediaflow doctor`.";
    StorageUnavailable "storage.unavailable" 503 "Bytes could not be written or read. Retried.";
    StorageCorrupt "storage.corrupt" 500 "Stored bytes do not have the digest that was recorded for them.";
    StoreUnavailable "store.unavailable" 503 "The database did not answer. Retried.";
    StoreClosed "store.closed" 503 "The installation is being moved, or has moved, and takes no changes; the text tells which. Try again after the time in `Retry-After`, or at the new place.";
    ModerationUnavailable "moderation.unavailable" 503 "The classifier could not be reached or its circuit breaker is open. Retried; nothing is shown before a verdict.";
    ModerationRejected "moderation.rejected" 403 "The asset was rejected by moderation. What was made of it has been removed.";
    DistributeFailed "distribute.failed" 502 "The CDN refused or did not answer.";
    UpstreamDead "upstream.dead" 500 "A step that this one needs has failed for good. Replaying that one brings this one back.";
    RunSuperseded "run.superseded" 409 "A newer generation of the asset replaced this run.";
    AssetDeleted "asset.deleted" 410 "The asset was deleted.";
    AssetNotFound "asset.not_found" 404 "There is no such asset.";
    TaskNotFound "task.not_found" 404 "There is no such task.";
    WorkerNotFound "worker.not_found" 404 "No such worker was heard of in the last hour; each start has an id of its own.";
    RenditionNotFound "rendition.not_found" 404 "The asset has no such rendition, or it is not visible yet.";
    CaptionsNotFound "captions.not_found" 404 "No captions were given to the asset in this language.";
    RouteNotFound "route.not_found" 404 "There is nothing at this path.";
    MethodNotAllowed "route.method" 405 "The path exists, but not with this method.";
    ConflictState "conflict.state" 409 "The asset or task is in a state that does not allow this.";
    ConflictRunning "conflict.running" 409 "A request with the same `Idempotency-Key` is still running.";
    IdempotencyMismatch "idempotency.mismatch" 422 "The `Idempotency-Key` was used before with other content.";
    EventsPruned "events.pruned" 410 "The events after this place are past `retention.events_days`, so that some would be left out. The text says after which number those follow that are kept; look at the assets themselves for what came before.";
    Cancelled "cancelled" 409 "The work was stopped, because its result was no longer wanted.";
    FenceStale "fence.stale" 409 "The task was claimed again or cancelled since this attempt began; its result is not taken.";
    RequestInvalid "request.invalid" 400 "The request has a parameter or a body that cannot be understood; the text names it.";
    RequestRange "request.range" 416 "The range lies outside the file.";
    RequestTime "request.time" 422 "There is no picture at that time: the video is shorter, or not made that far yet.";
    RequestTimeout "request.timeout" 408 "The body did not arrive in time.";
    RecipeUnknown "recipe.unknown" 422 "There is no recipe of that name for this kind of media.";
    RecipeInvalid "recipe.invalid" 422 "The recipe file has an error; the text names line, step and fix.";
    AuthMissing "auth.missing" 401 "The request needs an API key: `Authorization: Bearer mf_...`.";
    AuthInvalid "auth.invalid" 401 "The API key is unknown or was revoked.";
    AuthScope "auth.scope" 403 "The API key has not the scope that this needs.";
    TokenInvalid "token.invalid" 401 "The upload token is unknown, or its time is over, or the key that minted it was revoked. Ask for a new one.";
    TokenUsed "token.used" 403 "The upload token was used for another upload: each is for one.";
    TokenOrigin "token.origin" 403 "The upload token is for pages of another site than the one that sent it.";
    SignatureInvalid "signature.invalid" 403 "The signed URL is wrong or has expired.";
    Internal "internal" 500 "A bug of ours. The log has the details under the correlation id.";
}

impl std::fmt::Display for ErrorCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str(self.as_str())
    }
}
