//! Links to objects of an S3 bucket that anybody may follow for a while: signed here, without a call and without the S3
//! client, which would be the largest part of the function that gives out nothing but links.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use aws_credential_types::Credentials;
use aws_sigv4::http_request::{
    PercentEncodingMode, SignableBody, SignableRequest, SignatureLocation, SigningSettings, UriPathNormalizationMode,
    sign,
};
use aws_sigv4::sign::v4;
use satchel_domain::{Error, Result};

/// Signs links to the objects of one bucket (Amazon S3 API reference, *Authenticating requests: using query parameters*).
#[derive(Clone, Debug)]
pub struct Links {
    credentials: Credentials,
    region: String,
    base: String,
}

impl Links {
    /// For `bucket` in `region`; behind `endpoint` where one is given, addressed by path there.
    pub(crate) fn new(credentials: Credentials, region: &str, endpoint: Option<&str>, bucket: &str) -> Self {
        let base = match endpoint {
            Some(endpoint) => format!("{}/{bucket}", endpoint.trim_end_matches('/')),
            None => {
                let suffix = if region.starts_with("cn-") { "amazonaws.com.cn" } else { "amazonaws.com" };
                format!("https://{bucket}.s3.{region}.{suffix}")
            }
        };
        Self { credentials, region: region.to_owned(), base }
    }

    /// A link by which anybody may read `key` for `lifetime`, as of `now` (Unix seconds). It ends earlier where the
    /// credentials do.
    ///
    /// # Errors
    /// [`Error::Internal`] where `key` has characters that would have to be escaped: ours have none.
    pub fn link(&self, key: &str, lifetime: Duration, now: i64) -> Result<String> {
        if !key.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"/-_.".contains(&byte)) {
            return Err(Error::internal("a key that no link can be made of"));
        }
        let mut settings = SigningSettings::default();
        settings.percent_encoding_mode = PercentEncodingMode::Single;
        settings.uri_path_normalization_mode = UriPathNormalizationMode::Disabled;
        settings.signature_location = SignatureLocation::QueryParams;
        settings.expires_in = Some(lifetime);
        let identity = self.credentials.clone().into();
        let time: SystemTime = UNIX_EPOCH + Duration::from_secs(u64::try_from(now).unwrap_or(0));
        let params = v4::SigningParams::builder()
            .identity(&identity)
            .region(&self.region)
            .name("s3")
            .time(time)
            .settings(settings)
            .build()
            .map_err(Error::internal)?
            .into();
        let url = format!("{}/{key}", self.base);
        let request = SignableRequest::new("GET", &url, std::iter::empty(), SignableBody::UnsignedPayload)
            .map_err(Error::internal)?;
        let (instructions, _) = sign(request, &params).map_err(Error::internal)?.into_parts();
        let mut signed = http::Request::get(&url).body(()).map_err(Error::internal)?;
        instructions.apply_to_request_http1x(&mut signed);
        Ok(signed.uri().to_string())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The example of the S3 API reference, whose bucket is in us-east-1's old form of host.
    #[test]
    fn a_link_is_signed_as_in_the_providers_example() {
        let credentials =
            Credentials::new("AKIAIOSFODNN7EXAMPLE", "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY", None, None, "test");
        let mut links = Links::new(credentials, "us-east-1", None, "examplebucket");
        assert_eq!(links.base, "https://examplebucket.s3.us-east-1.amazonaws.com");
        links.base = "https://examplebucket.s3.amazonaws.com".to_owned();
        // Fri, 24 May 2013 00:00:00 GMT
        let link = links.link("test.txt", Duration::from_secs(86_400), 1_369_353_600).unwrap();
        assert!(
            link.contains("X-Amz-Signature=aeeed9bbccd4d02ee5c0109b86d86835f995330da4c265957d157751f604d404"),
            "{link}"
        );
        assert!(links.link("a b", Duration::from_secs(1), 0).is_err());
    }

    #[test]
    fn a_bucket_behind_an_endpoint_is_addressed_by_path() {
        let credentials = Credentials::new("a", "b", Some("token".to_owned()), None, "test");
        let links = Links::new(credentials, "us-east-1", Some("http://127.0.0.1:3002"), "exports");
        let link = links.link("exports/u/e.zip", Duration::from_secs(300), 0).unwrap();
        assert!(link.starts_with("http://127.0.0.1:3002/exports/exports/u/e.zip?"), "{link}");
        assert!(link.contains("X-Amz-Expires=300") && link.contains("X-Amz-Security-Token=token"), "{link}");
    }
}
