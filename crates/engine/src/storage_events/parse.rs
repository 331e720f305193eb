//! What object stores tell of new objects: S3's notifications, as they are, wrapped by SNS, or as MinIO posts them.

use percent_encoding::percent_decode_str;
use serde::Deserialize;

/// Records of one message that are read.
const RECORDS_MAX: usize = 1000;

/// An object that was written.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Created {
    /// In which bucket.
    pub bucket: String,
    /// Under which key, as it is and not as messages write it.
    pub key: String,
    /// Which of the key's versions, where there are any.
    pub version: Option<String>,
    /// What tells this content from other, without quotes.
    pub e_tag: Option<String>,
    /// Rises with each write of the key.
    pub sequencer: Option<String>,
}

/// Why a message is none.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("no storage event: {0}")]
pub struct NoEvent(String);

#[derive(Deserialize)]
struct Message {
    #[serde(rename = "Records", default)]
    records: Vec<Record>,
    /// Of SNS.
    #[serde(rename = "Type")]
    kind: Option<String>,
    #[serde(rename = "Message")]
    wrapped: Option<String>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Record {
    event_name: String,
    s3: Option<S3>,
}

#[derive(Deserialize)]
struct S3 {
    bucket: Bucket,
    object: Object,
}

#[derive(Deserialize)]
struct Bucket {
    name: String,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Object {
    key: String,
    version_id: Option<String>,
    e_tag: Option<String>,
    sequencer: Option<String>,
}

/// The objects that a message tells of. Other things that happened are none, and neither are the test messages that stores send.
///
/// # Errors
/// When it is no such message.
pub fn read(body: &str) -> Result<Vec<Created>, NoEvent> {
    let mut message = message(body)?;
    if message.kind.as_deref() == Some("Notification")
        && let Some(wrapped) = &message.wrapped
    {
        message = self::message(wrapped)?;
    }
    if message.records.len() > RECORDS_MAX {
        return Err(NoEvent(format!("it has more than {RECORDS_MAX} records")));
    }
    let created = message
        .records
        .into_iter()
        .filter(|r| is_creation(&r.event_name));
    created
        .filter_map(|record| record.s3)
        .map(created_of)
        .collect()
}

fn message(text: &str) -> Result<Message, NoEvent> {
    serde_json::from_str(text).map_err(|e| NoEvent(e.to_string()))
}

/// Setting tags, retention or rights also counts as creation for some.
fn is_creation(name: &str) -> bool {
    let name = name.strip_prefix("s3:").unwrap_or(name);
    matches!(
        name.strip_prefix("ObjectCreated:"),
        Some("Put" | "Post" | "Copy" | "CompleteMultipartUpload")
    )
}

fn created_of(s3: S3) -> Result<Created, NoEvent> {
    let plain = s3.object.key.replace('+', " ");
    let key = percent_decode_str(&plain).decode_utf8();
    let key = key.map_err(|_| NoEvent("a key is not UTF-8".into()))?;
    if key.is_empty() || s3.bucket.name.is_empty() {
        return Err(NoEvent("a key or a bucket has no name".into()));
    }
    let said = |text: Option<String>| text.filter(|text| !text.is_empty());
    Ok(Created {
        bucket: s3.bucket.name,
        key: key.into_owned(),
        // MinIO says so where there are no versions.
        version: said(s3.object.version_id).filter(|version| version != "null"),
        e_tag: said(s3.object.e_tag.map(|tag| tag.trim_matches('"').to_owned())),
        sequencer: said(s3.object.sequencer),
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::{Value, json};

    fn record(name: &str, key: &str) -> Value {
        json!({
            "eventVersion": "2.1", "eventSource": "aws:s3", "eventName": name,
            "s3": {
                "s3SchemaVersion": "1.0", "bucket": { "name": "incoming", "arn": "arn:aws:s3:::incoming" },
                "object": { "key": key, "size": 5, "eTag": "abc", "sequencer": "0055AED6DCD90281E5" },
            },
        })
    }

    fn keys(body: &Value) -> Vec<String> {
        let created = read(&body.to_string()).unwrap();
        created.into_iter().map(|created| created.key).collect()
    }

    #[test]
    fn creations_are_read_and_nothing_else() {
        for name in [
            "ObjectCreated:Put",
            "ObjectCreated:Post",
            "ObjectCreated:Copy",
            "ObjectCreated:CompleteMultipartUpload",
            "s3:ObjectCreated:Put",
        ] {
            assert_eq!(
                keys(&json!({ "Records": [record(name, "a.jpg")] })),
                ["a.jpg"],
                "{name}"
            );
        }
        for name in [
            "ObjectRemoved:Delete",
            "ObjectCreated:PutTagging",
            "s3:ObjectCreated:PutRetention",
            "ObjectRestore:Completed",
            "ObjectAccessed:Get",
            "",
        ] {
            assert!(
                keys(&json!({ "Records": [record(name, "a.jpg")] })).is_empty(),
                "{name}"
            );
        }
        let created =
            read(&json!({ "Records": [record("ObjectCreated:Put", "a.jpg")] }).to_string());
        let expected = Created {
            bucket: "incoming".into(),
            key: "a.jpg".into(),
            version: None,
            e_tag: Some("abc".into()),
            sequencer: Some("0055AED6DCD90281E5".into()),
        };
        assert_eq!(created.unwrap(), [expected]);
    }

    #[test]
    fn keys_are_written_like_forms() {
        for (written, key) in [
            ("a+b.jpg", "a b.jpg"),
            ("a%2Bb.jpg", "a+b.jpg"),
            ("a%20b%25.jpg", "a b%.jpg"),
            ("%E6%B5%B7/x.jpg", "海/x.jpg"),
            ("a/b%2Fc", "a/b/c"),
            ("100%.jpg", "100%.jpg"),
        ] {
            assert_eq!(
                keys(&json!({ "Records": [record("ObjectCreated:Put", written)] })),
                [key]
            );
        }
        let broken = json!({ "Records": [record("ObjectCreated:Put", "%ff%fe")] });
        assert!(read(&broken.to_string()).is_err());
    }

    #[test]
    fn wrapped_ones_are_unwrapped_once() {
        let inner = json!({ "Records": [record("ObjectCreated:Put", "a.jpg"), record("ObjectCreated:Copy", "b.jpg")] });
        let wrap = |inner: &Value| json!({ "Type": "Notification", "MessageId": "1", "TopicArn": "arn", "Message": inner.to_string() });
        assert_eq!(keys(&wrap(&inner)), ["a.jpg", "b.jpg"]);
        assert!(keys(&wrap(&wrap(&inner))).is_empty());
        let minio = json!({ "EventName": "s3:ObjectCreated:Put", "Key": "incoming/a.jpg", "Records": [record("s3:ObjectCreated:Put", "a.jpg")] });
        assert_eq!(keys(&minio), ["a.jpg"]);
    }

    #[test]
    fn test_messages_are_nothing_and_nonsense_is_an_error() {
        for nothing in [
            json!({}),
            json!({ "Service": "Amazon S3", "Event": "s3:TestEvent", "Bucket": "incoming" }),
            json!({ "Type": "SubscriptionConfirmation", "Message": "You have chosen to subscribe" }),
            json!({ "Records": [] }),
        ] {
            assert!(keys(&nothing).is_empty(), "{nothing}");
        }
        for nonsense in [
            "",
            "x",
            "[]",
            "7",
            r#"{"Records":[{}]}"#,
            r#"{"Records":"x"}"#,
            r#"{"Type":"Notification","Message":"x"}"#,
        ] {
            assert!(read(nonsense).is_err(), "{nonsense}");
        }
    }
}
