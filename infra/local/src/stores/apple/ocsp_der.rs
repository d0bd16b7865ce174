//! Requests and answers of OCSP as bytes (RFC 6960, 4.1 and 4.2).

use ring::digest::{SHA1_FOR_LEGACY_USE_ONLY, SHA256, digest};
use satchel_domain::Timestamp;
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, DERWriter, Tag};

const SHA1_OID: &[u64] = &[1, 3, 14, 3, 2, 26];
const SHA256_OID: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const BASIC: &[u64] = &[1, 3, 6, 1, 5, 5, 7, 48, 1, 1];
/// `ENUMERATED` and `GeneralizedTime`.
const ENUMERATED: u8 = 10;
const GENERALIZED_TIME: u8 = 24;

/// A certificate that is asked about: its issuer by hashes, its serial number.
pub(super) struct CertId {
    /// As it came, to be repeated in the answer.
    der: Vec<u8>,
    algorithm: Vec<u64>,
    name_hash: Vec<u8>,
    key_hash: Vec<u8>,
    pub(super) serial: Vec<u8>,
}

/// A request.
pub(super) struct OcspRequest {
    pub(super) asked: Vec<CertId>,
    /// Its extensions as they came: a nonce is repeated.
    pub(super) extensions: Option<Vec<u8>>,
}

/// Reads a request.
pub(super) fn read(der: &[u8]) -> ASN1Result<OcspRequest> {
    yasna::parse_der(der, |reader| {
        reader.read_sequence(|reader| {
            let tbs = reader.next().read_sequence(|reader| {
                reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_i64()))?;
                reader.read_optional(|reader| reader.read_tagged(Tag::context(1), |reader| reader.read_der()))?;
                let asked = reader.next().collect_sequence_of(|reader| {
                    reader.read_sequence(|reader| {
                        let id = reader.next().read_der()?;
                        reader
                            .read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_der()))?;
                        cert_id(id)
                    })
                })?;
                let extensions =
                    reader.read_optional(|reader| reader.read_tagged(Tag::context(2), |reader| reader.read_der()))?;
                Ok(OcspRequest { asked, extensions })
            })?;
            reader.read_optional(|reader| reader.read_tagged(Tag::context(0), |reader| reader.read_der()))?;
            Ok(tbs)
        })
    })
}

fn cert_id(der: Vec<u8>) -> ASN1Result<CertId> {
    let (algorithm, name_hash, key_hash, serial) = yasna::parse_der(&der, |reader| {
        reader.read_sequence(|reader| {
            let algorithm = reader.next().read_sequence(|reader| {
                let oid = reader.next().read_oid()?;
                reader.read_optional(|reader| reader.read_der())?;
                Ok(oid)
            })?;
            let (name_hash, key_hash) = (reader.next().read_bytes()?, reader.next().read_bytes()?);
            let (serial, _) = reader.next().read_bigint_bytes()?;
            Ok((algorithm, name_hash, key_hash, serial))
        })
    })?;
    let first = serial.iter().position(|byte| *byte != 0).unwrap_or(serial.len());
    let serial = serial[first..].to_vec();
    Ok(CertId { der, algorithm: algorithm.into_components(), name_hash, key_hash, serial })
}

impl CertId {
    /// Whether the issuer is the one with `certificate` and `public_key`.
    pub(super) fn is_issued_by(&self, certificate: &[u8], public_key: &[u8]) -> bool {
        let algorithm = match self.algorithm.as_slice() {
            SHA1_OID => &SHA1_FOR_LEGACY_USE_ONLY,
            SHA256_OID => &SHA256,
            _ => return false,
        };
        let name = subject(certificate);
        digest(algorithm, &name).as_ref() == self.name_hash && digest(algorithm, public_key).as_ref() == self.key_hash
    }
}

/// The parts of a certificate that are signed, DER each: version, serial number, algorithm, issuer, validity, subject,
/// key, extensions.
pub(super) fn fields(certificate: &[u8]) -> ASN1Result<Vec<Vec<u8>>> {
    yasna::parse_der(certificate, |reader| {
        reader.read_sequence(|reader| {
            let fields = reader.next().collect_sequence_of(|reader| reader.read_der())?;
            reader.next().read_der()?;
            reader.next().read_der()?;
            Ok(fields)
        })
    })
}

fn subject(certificate: &[u8]) -> Vec<u8> {
    fields(certificate).ok().and_then(|fields| fields.into_iter().nth(5)).unwrap_or_default()
}

/// What is said of a certificate.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum CertStatus {
    Good,
    /// Since when, Unix seconds.
    Revoked(i64),
    Unknown,
}

/// When an answer was made, and how long it counts; Unix seconds.
#[derive(Debug, Clone, Copy)]
pub(super) struct Times {
    pub(super) produced: i64,
    pub(super) this_update: i64,
    pub(super) next_update: i64,
}

/// What is signed of an answer (`ResponseData`); the responder is named by its key.
pub(super) fn response_data(
    request: &OcspRequest,
    status: impl Fn(&CertId) -> CertStatus,
    responder_key: &[u8],
    times: Times,
) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_tagged(Tag::context(2), |writer| {
                writer.write_bytes(digest(&SHA1_FOR_LEGACY_USE_ONLY, responder_key).as_ref());
            });
            writer.next().write_der(&time(times.produced));
            writer.next().write_sequence(|writer| {
                for id in &request.asked {
                    writer.next().write_sequence(|writer| {
                        writer.next().write_der(&id.der);
                        write_status(writer.next(), status(id));
                        writer.next().write_der(&time(times.this_update));
                        writer.next().write_tagged(Tag::context(0), |writer| {
                            writer.write_der(&time(times.next_update));
                        });
                    });
                }
            });
            if let Some(extensions) = &request.extensions {
                writer.next().write_tagged(Tag::context(1), |writer| writer.write_der(extensions));
            }
        });
    })
}

fn write_status(writer: DERWriter<'_>, status: CertStatus) {
    match status {
        CertStatus::Good => writer.write_tagged_implicit(Tag::context(0), |writer| writer.write_null()),
        CertStatus::Revoked(since) => writer.write_tagged_implicit(Tag::context(1), |writer| {
            writer.write_sequence(|writer| {
                writer.next().write_der(&time(since));
                // Reason 1: the key is known to others.
                writer.next().write_tagged(Tag::context(0), |writer| writer.write_der(&[ENUMERATED, 1, 1]));
            });
        }),
        CertStatus::Unknown => writer.write_tagged_implicit(Tag::context(2), |writer| writer.write_null()),
    }
}

/// A whole answer that was given: `data` signed by `algorithm`, with the responder's certificate where it has one.
pub(super) fn response(data: &[u8], algorithm: &[u64], signature: &[u8], certificate: Option<&[u8]>) -> Vec<u8> {
    let basic = yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(data);
            writer.next().write_sequence(|writer| {
                writer.next().write_oid(&ObjectIdentifier::from_slice(algorithm));
            });
            writer.next().write_bitvec_bytes(signature, signature.len() * 8);
            if let Some(certificate) = certificate {
                writer.next().write_tagged(Tag::context(0), |writer| {
                    writer.write_sequence(|writer| writer.next().write_der(certificate));
                });
            }
        });
    });
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_der(&[ENUMERATED, 1, 0]);
            writer.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|writer| {
                    writer.next().write_oid(&ObjectIdentifier::from_slice(BASIC));
                    writer.next().write_bytes(&basic);
                });
            });
        });
    })
}

/// An answer that says only why there is none (`OCSPResponseStatus`).
pub(super) fn unsuccessful(status: u8) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_sequence(|writer| writer.next().write_der(&[ENUMERATED, 1, status]));
    })
}

/// `GeneralizedTime` to the second, UTC.
fn time(unix: i64) -> Vec<u8> {
    let text = Timestamp::from_second(unix).unwrap_or(Timestamp::UNIX_EPOCH).strftime("%Y%m%d%H%M%SZ").to_string();
    let length = u8::try_from(text.len()).unwrap_or(15);
    [&[GENERALIZED_TIME, length], text.as_bytes()].concat()
}
