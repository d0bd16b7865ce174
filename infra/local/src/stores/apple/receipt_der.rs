//! The app receipt's bytes: a CMS signed message (RFC 5652) around a set of attributes, each a number with an octet
//! string, as Apple's guide to receipts describes them.
//!
//! # Limits
//! Apple signs receipts with RSA and another root. These are signed by the leaf that signs everything else here.

use ring::signature::{ECDSA_P256_SHA256_ASN1, UnparsedPublicKey};
use yasna::models::ObjectIdentifier;
use yasna::{ASN1Result, DERWriter, Tag};

use super::pki::Pki;
use crate::keys::KeyError;

const DATA: &[u64] = &[1, 2, 840, 113549, 1, 7, 1];
const SIGNED_DATA: &[u64] = &[1, 2, 840, 113549, 1, 7, 2];
const SHA256: &[u64] = &[2, 16, 840, 1, 101, 3, 4, 2, 1];
const ECDSA_WITH_SHA256: &[u64] = &[1, 2, 840, 10045, 4, 3, 2];

/// An attribute: its number and the DER inside its octet string.
pub(super) type Attribute = (i64, Vec<u8>);

/// A UTF-8 string as an attribute's value.
pub(super) fn text(value: &str) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_utf8_string(value))
}

/// A date, RFC 3339, as an attribute's value; none is an empty one.
pub(super) fn date(value: &str) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_ia5_string(value))
}

/// A number as an attribute's value.
pub(super) fn number(value: i64) -> Vec<u8> {
    yasna::construct_der(|writer| writer.write_i64(value))
}

/// A set of attributes, DER.
pub(super) fn attributes(list: &[Attribute]) -> Vec<u8> {
    yasna::construct_der(|writer| {
        writer.write_set_of(|writer| {
            for (kind, value) in list {
                writer.next().write_sequence(|writer| {
                    writer.next().write_i64(*kind);
                    writer.next().write_i64(1);
                    writer.next().write_bytes(value);
                });
            }
        });
    })
}

/// The attributes in `der`.
pub(super) fn read_attributes(der: &[u8]) -> ASN1Result<Vec<Attribute>> {
    yasna::parse_der(der, |reader| {
        reader.collect_set_of(|reader| {
            reader.read_sequence(|reader| {
                let kind = reader.next().read_i64()?;
                reader.next().read_i64()?;
                Ok((kind, reader.next().read_bytes()?))
            })
        })
    })
}

/// The string in an attribute's value; none where it is something else.
pub(super) fn read_text(der: &[u8]) -> Option<String> {
    let utf8 = yasna::parse_der(der, |reader| reader.read_utf8string());
    utf8.or_else(|_| yasna::parse_der(der, |reader| reader.read_ia5_string())).ok()
}

/// `content` as a signed message.
pub(super) fn sign(content: &[u8], pki: &Pki) -> Result<Vec<u8>, KeyError> {
    let signature = pki.sign_as_leaf(content)?;
    let [leaf, ..] = &pki.chain;
    let (issuer, serial) = issuer_and_serial(leaf).map_err(|error| KeyError::Key(error.to_string()))?;
    Ok(yasna::construct_der(|writer| {
        writer.write_sequence(|writer| {
            writer.next().write_oid(&ObjectIdentifier::from_slice(SIGNED_DATA));
            writer.next().write_tagged(Tag::context(0), |writer| {
                writer.write_sequence(|writer| {
                    writer.next().write_i64(1);
                    writer.next().write_set_of(|writer| algorithm(writer.next(), SHA256));
                    writer.next().write_sequence(|writer| {
                        writer.next().write_oid(&ObjectIdentifier::from_slice(DATA));
                        writer.next().write_tagged(Tag::context(0), |writer| writer.write_bytes(content));
                    });
                    writer.next().write_tagged_implicit(Tag::context(0), |writer| {
                        writer.write_set_of(|writer| {
                            for certificate in &pki.chain {
                                writer.next().write_der(certificate);
                            }
                        });
                    });
                    writer.next().write_set_of(|writer| {
                        writer.next().write_sequence(|writer| {
                            writer.next().write_i64(1);
                            writer.next().write_sequence(|writer| {
                                writer.next().write_der(&issuer);
                                writer.next().write_der(&serial);
                            });
                            algorithm(writer.next(), SHA256);
                            algorithm(writer.next(), ECDSA_WITH_SHA256);
                            writer.next().write_bytes(&signature);
                        });
                    });
                });
            });
        });
    }))
}

fn algorithm(writer: DERWriter<'_>, oid: &[u64]) {
    writer.write_sequence(|writer| writer.next().write_oid(&ObjectIdentifier::from_slice(oid)));
}

/// Issuer and serial number of a certificate, DER.
fn issuer_and_serial(certificate: &[u8]) -> ASN1Result<(Vec<u8>, Vec<u8>)> {
    let fields = super::ocsp_der::fields(certificate)?;
    let field = |at: usize| fields.get(at).cloned().unwrap_or_default();
    Ok((field(3), field(1)))
}

/// A signed message, read.
pub(super) struct Message {
    content: Vec<u8>,
    signature: Vec<u8>,
}

/// Reads a signed message; its signature is not checked.
pub(super) fn read(der: &[u8]) -> ASN1Result<Message> {
    yasna::parse_der(der, |reader| {
        reader.read_sequence(|reader| {
            reader.next().read_oid()?;
            reader.next().read_tagged(Tag::context(0), |reader| {
                reader.read_sequence(|reader| {
                    reader.next().read_i64()?;
                    reader.next().read_der()?;
                    let content = reader.next().read_sequence(|reader| {
                        reader.next().read_oid()?;
                        reader.next().read_tagged(Tag::context(0), |reader| reader.read_bytes())
                    })?;
                    reader.next().read_der()?;
                    let signatures = reader.next().collect_set_of(|reader| {
                        reader.read_sequence(|reader| {
                            for _ in 0..4 {
                                reader.next().read_der()?;
                            }
                            reader.next().read_bytes()
                        })
                    })?;
                    Ok(Message { content, signature: signatures.into_iter().next().unwrap_or_default() })
                })
            })
        })
    })
}

impl Message {
    /// The content, where the leaf of `pki` has signed it.
    pub(super) fn signed_by(self, pki: &Pki) -> Option<Vec<u8>> {
        let key = UnparsedPublicKey::new(&ECDSA_P256_SHA256_ASN1, pki.leaf_point());
        key.verify(&self.content, &self.signature).is_ok().then_some(self.content)
    }
}
