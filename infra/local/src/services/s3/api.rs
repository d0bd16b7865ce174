//! The REST protocol of S3.

use std::collections::{BTreeMap, BTreeSet};

use axum::body::Bytes;
use jiff::Timestamp;

use super::multipart::Refusal;
use super::store::Meta;
use super::{S3, chunked, presign};
use crate::services::checksum::md5_hex;
use crate::services::request::{Request, Response, Service};
use crate::services::wire::{self, decode, escape, pairs};

/// Headers that come back with an object as they were given with it.
const KEPT: [&str; 5] =
    ["content-type", "content-disposition", "content-encoding", "content-language", "cache-control"];
/// Query parameters of a GET that set one of those headers.
const OVERRIDES: [(&str, &str); 5] = [
    ("response-content-type", "content-type"),
    ("response-content-disposition", "content-disposition"),
    ("response-content-encoding", "content-encoding"),
    ("response-content-language", "content-language"),
    ("response-cache-control", "cache-control"),
];
const NO_KEY: Refusal = (404, "NoSuchKey", "The specified key does not exist.");

/// Which object a request is about, and its query.
struct Asked<'r> {
    request: &'r Request,
    bucket: String,
    key: String,
    query: BTreeMap<String, String>,
}

impl S3 {
    pub(in crate::services) fn call(&self, request: &Request) -> Response {
        let answer = self.admit(request).and_then(|asked| self.answer(&asked));
        answer.unwrap_or_else(|(status, code, message)| {
            let refused = wire::error(Service::S3, status, code, message);
            if request.method == http::Method::HEAD { Response::empty(status) } else { refused }
        })
    }

    fn admit<'r>(&self, request: &'r Request) -> Result<Asked<'r>, Refusal> {
        if request.query.contains("X-Amz-Signature=") {
            presign::verify(request, &self.signers, &self.secret, (self.now)())?;
        } else if request.header("authorization").is_none() {
            return Err((403, "AccessDenied", "Access Denied"));
        }
        let path = request.path.trim_start_matches('/');
        let (bucket, key) = path.split_once('/').unwrap_or((path, ""));
        let bucket = decode(bucket, false);
        if !self.buckets.contains(&bucket) {
            return Err((404, "NoSuchBucket", "The specified bucket does not exist"));
        }
        Ok(Asked { request, bucket, key: decode(key, false), query: pairs(&request.query).collect() })
    }

    fn answer(&self, asked: &Asked<'_>) -> Result<Response, Refusal> {
        let Asked { bucket, key, .. } = asked;
        let body = || {
            chunked::content(asked.request).ok_or((400, "IncompleteBody", "The request body terminated unexpectedly"))
        };
        match asked.request.operation {
            "PutObject" => {
                let body = body()?;
                let etag = md5_hex(&body);
                let meta = self.meta(asked, etag.clone());
                self.lock().store.put(bucket, key, meta, body).map_err(|_| internal())?;
                Ok(Response::empty(200).with("etag", format!("\"{etag}\"")))
            }
            "GetObject" | "HeadObject" => self.get(asked),
            "DeleteObject" => {
                self.lock().store.delete(bucket, key).map_err(|_| internal())?;
                Ok(Response::empty(204))
            }
            "DeleteObjects" => {
                let mut deleted = String::new();
                for object in tags(&text(&body()?), "Object") {
                    for key in tags(object, "Key") {
                        self.lock().store.delete(bucket, &unescape(key)).map_err(|_| internal())?;
                        deleted.push_str(&format!("<Deleted><Key>{key}</Key></Deleted>"));
                    }
                }
                Ok(Response::xml(200, format!("<DeleteResult>{deleted}</DeleteResult>")))
            }
            "ListObjectsV2" => Ok(self.list(asked)),
            "HeadBucket" => Ok(Response::empty(200)),
            "CreateMultipartUpload" => {
                let meta = self.meta(asked, String::new());
                let id = self.lock().uploads.create(bucket, key, meta);
                let (bucket, key) = (escape(bucket), escape(key));
                let body = format!(
                    "<InitiateMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key><UploadId>{id}</UploadId>\
                     </InitiateMultipartUploadResult>"
                );
                Ok(Response::xml(200, body))
            }
            "UploadPart" => {
                let number = asked.query("partNumber").parse().unwrap_or_default();
                let tag = self.lock().uploads.put(asked.query("uploadId"), bucket, key, number, body()?)?;
                Ok(Response::empty(200).with("etag", format!("\"{tag}\"")))
            }
            "CompleteMultipartUpload" => {
                let body = text(&body()?);
                let part = |part: &str| {
                    let number = tags(part, "PartNumber").next()?.trim().parse().ok()?;
                    Some((number, unescape(tags(part, "ETag").next()?.trim())))
                };
                let parts: Vec<_> = tags(&body, "Part").filter_map(part).collect();
                let mut state = self.lock();
                let (mut meta, content) = state.uploads.complete(asked.query("uploadId"), bucket, key, &parts)?;
                meta.modified_ms = (self.now)();
                let etag = meta.etag.clone();
                state.store.put(bucket, key, meta, content).map_err(|_| internal())?;
                let (bucket, key) = (escape(bucket), escape(key));
                let body = format!(
                    "<CompleteMultipartUploadResult><Bucket>{bucket}</Bucket><Key>{key}</Key>\
                     <ETag>&quot;{etag}&quot;</ETag></CompleteMultipartUploadResult>"
                );
                Ok(Response::xml(200, body))
            }
            "AbortMultipartUpload" => {
                self.lock().uploads.abort(asked.query("uploadId"), bucket, key)?;
                Ok(Response::empty(204))
            }
            _ => Ok(wire::unknown()),
        }
    }

    fn meta(&self, asked: &Asked<'_>, etag: String) -> Meta {
        let kept = |name: &str| KEPT.contains(&name) || name.starts_with("x-amz-meta-");
        let headers = asked.request.headers.iter().filter(|(name, _)| kept(name.as_str()));
        let headers = headers
            .filter_map(|(name, value)| {
                // The encoding of the upload is none of the object's.
                let value = value.to_str().ok()?.replace("aws-chunked,", "").replace("aws-chunked", "");
                (!value.is_empty()).then(|| (name.as_str().to_owned(), value))
            })
            .collect();
        Meta::new(etag, (self.now)(), headers)
    }

    fn get(&self, asked: &Asked<'_>) -> Result<Response, Refusal> {
        let state = self.lock();
        let meta = state.store.get(&asked.bucket, &asked.key).ok_or(NO_KEY)?;
        let etag = format!("\"{}\"", meta.etag);
        if let Some(tag) = asked.request.header("if-match")
            && tag != "*"
            && tag != etag
        {
            return Err((412, "PreconditionFailed", "At least one of the pre-conditions you specified did not hold"));
        }
        if asked.request.header("if-none-match") == Some(&etag) {
            return Ok(Response::empty(304).with("etag", etag));
        }
        let head = asked.request.operation == "HeadObject";
        let content = if head { Bytes::new() } else { state.store.content(meta).map_err(|_| internal())? };
        let range = asked.request.header("range").filter(|_| !head).map(|range| span(range, meta.size));
        let mut response = match range {
            None => Response { body: content, ..Response::empty(200) },
            Some(Some((from, to))) => {
                let part = Response { body: content.slice(from..=to), ..Response::empty(206) };
                part.with("content-range", format!("bytes {from}-{to}/{}", meta.size))
            }
            Some(None) => return Err((416, "InvalidRange", "The requested range is not satisfiable")),
        };
        let length = if head { meta.size } else { response.body.len() };
        let modified = timestamp(meta.modified_ms).strftime("%a, %d %b %Y %H:%M:%S GMT").to_string();
        response = response
            .with("content-length", length.to_string())
            .with("etag", etag)
            .with("last-modified", modified)
            .with("accept-ranges", "bytes");
        let mut metadata = Vec::new();
        for (name, value) in &meta.headers {
            match KEPT.iter().find(|kept| *kept == name) {
                Some(kept) => response = response.with(kept, value),
                None => metadata.push((name.clone(), value.clone())),
            }
        }
        for (parameter, header) in OVERRIDES {
            if let Some(value) = asked.query.get(parameter) {
                response.headers.retain(|(name, _)| *name != header);
                response = response.with(header, value);
            }
        }
        response.metadata = metadata;
        Ok(response)
    }

    fn list(&self, asked: &Asked<'_>) -> Response {
        let (prefix, delimiter) = (asked.query("prefix"), asked.query("delimiter"));
        let after = if asked.query("continuation-token").is_empty() {
            asked.query("start-after")
        } else {
            asked.query("continuation-token")
        };
        let max = asked.query("max-keys").parse().unwrap_or(1000usize).min(1000);
        let state = self.lock();
        let (mut contents, mut groups) = (String::new(), BTreeSet::new());
        let (mut count, mut last, mut truncated) = (0, String::new(), false);
        for (key, meta) in state.store.list(&asked.bucket) {
            if !key.starts_with(prefix) || key <= after {
                continue;
            }
            let group = match key[prefix.len()..].split_once(delimiter) {
                Some((start, _)) if !delimiter.is_empty() => Some(format!("{prefix}{start}{delimiter}")),
                _ => None,
            };
            // A page that ended within a group does not give the group again.
            if group.as_ref().is_some_and(|group| after.starts_with(group.as_str()) || groups.contains(group)) {
                key.clone_into(&mut last);
                continue;
            }
            if count == max {
                truncated = true;
                break;
            }
            count += 1;
            key.clone_into(&mut last);
            match group {
                Some(group) => {
                    groups.insert(group);
                }
                None => contents.push_str(&format!(
                    "<Contents><Key>{}</Key><LastModified>{}</LastModified><ETag>&quot;{}&quot;</ETag>\
                     <Size>{}</Size><StorageClass>STANDARD</StorageClass></Contents>",
                    escape(key),
                    timestamp(meta.modified_ms),
                    meta.etag,
                    meta.size,
                )),
            }
        }
        let groups: String = groups
            .iter()
            .map(|group| format!("<CommonPrefixes><Prefix>{}</Prefix></CommonPrefixes>", escape(group)))
            .collect();
        let next = if truncated {
            format!("<NextContinuationToken>{}</NextContinuationToken>", escape(&last))
        } else {
            String::new()
        };
        let (bucket, prefix) = (escape(&asked.bucket), escape(prefix));
        Response::xml(
            200,
            format!(
                "<ListBucketResult><Name>{bucket}</Name><Prefix>{prefix}</Prefix><KeyCount>{count}</KeyCount>\
                 <MaxKeys>{max}</MaxKeys><IsTruncated>{truncated}</IsTruncated>{contents}{groups}{next}\
                 </ListBucketResult>"
            ),
        )
    }
}

impl Asked<'_> {
    fn query(&self, name: &str) -> &str {
        self.query.get(name).map_or("", String::as_str)
    }
}

fn internal() -> Refusal {
    (500, "InternalError", "We encountered an internal error. Please try again.")
}

fn timestamp(ms: i64) -> Timestamp {
    Timestamp::from_millisecond(ms).unwrap_or(Timestamp::UNIX_EPOCH)
}

/// `bytes=from-to`, `bytes=from-` and `bytes=-last` as places in `size` bytes.
fn span(range: &str, size: usize) -> Option<(usize, usize)> {
    let (from, to) = range.strip_prefix("bytes=")?.split_once('-')?;
    let (from, to) = match (from.parse::<usize>().ok(), to.parse::<usize>().ok()) {
        (Some(from), Some(to)) => (from, to.min(size.checked_sub(1)?)),
        (Some(from), None) => (from, size.checked_sub(1)?),
        (None, Some(last)) => (size.saturating_sub(last), size.checked_sub(1)?),
        (None, None) => return None,
    };
    (from <= to).then_some((from, to))
}

fn text(body: &[u8]) -> String {
    String::from_utf8_lossy(body).into_owned()
}

/// The contents of the elements `name`; enough for the two documents the SDK sends, which nest no element in itself.
fn tags<'x>(xml: &'x str, name: &str) -> impl Iterator<Item = &'x str> {
    let (open, close) = (format!("<{name}>"), format!("</{name}>"));
    let mut rest = xml;
    std::iter::from_fn(move || {
        let start = rest.find(&open)? + open.len();
        let end = start + rest[start..].find(&close)?;
        let content = &rest[start..end];
        rest = &rest[end + close.len()..];
        Some(content)
    })
}

fn unescape(text: &str) -> String {
    text.replace("&quot;", "\"").replace("&lt;", "<").replace("&gt;", ">").replace("&apos;", "'").replace("&amp;", "&")
}
