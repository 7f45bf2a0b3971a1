//! V3 key files (Web3 Secret Storage): scrypt or PBKDF2, AES-128-CTR, Keccak-256 MAC.

use super::{KeystoreError, Password};
use aes::cipher::{KeyIvInit, StreamCipher};
use alloy_primitives::{Address, hex};
use callboard_chain::keccak::keccak256_parts;
use callboard_chain::keys::SecretKey;
use serde::{Deserialize, Serialize};
use zeroize::Zeroizing;

/// Most memory that opening a key file may take, bytes: twice what geth's standard cost needs.
const MAX_SCRYPT_BYTES: u64 = 512 << 20;
/// Most work that opening a key file may take, n × r × p: four times geth's standard cost.
const MAX_SCRYPT_WORK: u64 = 1 << 23;
/// Most rounds of PBKDF2: about 40 times what geth ever wrote.
const MAX_PBKDF2_ROUNDS: u32 = 10_000_000;
/// Block size and parallelism of scrypt, as in geth.
const SCRYPT_R: u32 = 8;
const SCRYPT_P: u32 = 1;
/// 16 bytes to encrypt with, 16 for the MAC.
const DERIVED_LENGTH: u32 = 32;

/// log2 of scrypt's n for new key files; memory is 1 KiB × n.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct ScryptCost(u8);

impl ScryptCost {
    /// n = 2^13, 8 MiB: for tests, and machines that are very small.
    pub const LIGHT: Self = Self(13);
    /// n = 2^17, 128 MiB: what OWASP recommends; about half a second.
    pub const STANDARD: Self = Self(17);
    /// n = 2^18, 256 MiB: geth's standard.
    pub const HIGH: Self = Self(18);
}

/// A key file.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub struct KeyFile {
    #[serde(default, skip_serializing_if = "Option::is_none")]
    address: Option<String>,
    #[serde(alias = "Crypto")]
    crypto: Crypto,
    #[serde(default)]
    id: String,
    version: u32,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct Crypto {
    cipher: String,
    ciphertext: HexBytes,
    cipherparams: CipherParams,
    #[serde(flatten)]
    kdf: Kdf,
    mac: HexBytes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
struct CipherParams {
    iv: HexBytes,
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kdf", content = "kdfparams", rename_all = "lowercase")]
enum Kdf {
    Scrypt { dklen: u32, n: u64, r: u32, p: u32, salt: HexBytes },
    Pbkdf2 { dklen: u32, c: u32, prf: String, salt: HexBytes },
}

#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(try_from = "String", into = "String")]
struct HexBytes(Vec<u8>);

impl TryFrom<String> for HexBytes {
    type Error = hex::FromHexError;

    fn try_from(text: String) -> Result<Self, Self::Error> {
        hex::decode(text).map(Self)
    }
}

impl From<HexBytes> for String {
    fn from(bytes: HexBytes) -> Self {
        hex::encode(bytes.0)
    }
}

/// Why a key file does not open.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub enum DecryptError {
    /// It is no V3 key file.
    #[error("not a V3 key file: {reason}")]
    Malformed {
        /// What is wrong.
        reason: String,
    },
    /// Its key derivation would cost more than any honest file's.
    #[error("its key derivation asks for too much: {parameters}")]
    TooCostly {
        /// What it asks for.
        parameters: String,
    },
    /// The MAC does not match.
    #[error("the password is wrong")]
    WrongPassword,
    /// The key is another's.
    #[error("it says address {stated}, and its key is that of {actual}")]
    OtherAddress {
        /// What the file says.
        stated: Address,
        /// The key's.
        actual: Address,
    },
}

impl KeyFile {
    /// Reads the JSON form.
    pub fn from_json(bytes: &[u8]) -> Result<Self, DecryptError> {
        let file: Self = serde_json::from_slice(bytes).map_err(|error| malformed(error.to_string()))?;
        if file.version != 3 {
            return Err(malformed(format!("version is {}, not 3", file.version)));
        }
        Ok(file)
    }

    /// The JSON form.
    pub fn to_json(&self) -> String {
        serde_json::to_string(self).expect("strings and numbers always serialise")
    }

    /// Whose key, where the file says it.
    pub fn address(&self) -> Option<Address> {
        self.address.as_ref()?.parse().ok()
    }

    /// Locks a key with a password, with a fresh salt and iv.
    pub fn encrypt(key: &SecretKey, password: &Password, cost: ScryptCost) -> Result<Self, KeystoreError> {
        let (mut salt, mut iv, mut id) = (vec![0; 32], vec![0; 16], [0; 16]);
        getrandom::fill(&mut salt)?;
        getrandom::fill(&mut iv)?;
        getrandom::fill(&mut id)?;
        let kdf = Kdf::Scrypt { dklen: DERIVED_LENGTH, n: 1 << cost.0, r: SCRYPT_R, p: SCRYPT_P, salt: HexBytes(salt) };
        let derived = kdf.derive(password).expect("own parameters are within the bounds");
        let mut ciphertext = key.to_bytes().to_vec();
        apply_cipher(&derived, &iv, &mut ciphertext);
        let mac = mac(&derived, &ciphertext);
        Ok(Self {
            address: Some(hex::encode(key.address())),
            crypto: Crypto {
                cipher: "aes-128-ctr".into(),
                ciphertext: HexBytes(ciphertext),
                cipherparams: CipherParams { iv: HexBytes(iv) },
                kdf,
                mac: HexBytes(mac.to_vec()),
            },
            id: uuid::Builder::from_random_bytes(id).into_uuid().to_string(),
            version: 3,
        })
    }

    /// Unlocks the key.
    pub fn decrypt(&self, password: &Password) -> Result<SecretKey, DecryptError> {
        let crypto = &self.crypto;
        if crypto.cipher != "aes-128-ctr" {
            return Err(malformed(format!("cipher {} is not aes-128-ctr", crypto.cipher)));
        }
        let iv = &crypto.cipherparams.iv.0;
        if crypto.ciphertext.0.len() != 32 || iv.len() != 16 {
            return Err(malformed("the ciphertext must have 32 bytes and the iv 16".into()));
        }
        let derived = crypto.kdf.derive(password)?;
        if !equal(&mac(&derived, &crypto.ciphertext.0), &crypto.mac.0) {
            return Err(DecryptError::WrongPassword);
        }
        let mut secret = Zeroizing::new([0u8; 32]);
        secret.copy_from_slice(&crypto.ciphertext.0);
        apply_cipher(&derived, iv, secret.as_mut_slice());
        let key = SecretKey::from_bytes(*secret).map_err(|error| malformed(error.to_string()))?;
        match self.address() {
            Some(stated) if stated != key.address() => {
                Err(DecryptError::OtherAddress { stated, actual: key.address() })
            }
            _ => Ok(key),
        }
    }
}

impl Kdf {
    fn derive(&self, password: &Password) -> Result<Zeroizing<[u8; 32]>, DecryptError> {
        let mut derived = Zeroizing::new([0u8; 32]);
        match self {
            Self::Scrypt { dklen, n, r, p, salt } => {
                let params = scrypt_params(*dklen, *n, *r, *p)?;
                scrypt::scrypt(password.as_bytes(), &salt.0, &params, derived.as_mut_slice())
                    .map_err(|error| malformed(error.to_string()))?;
            }
            Self::Pbkdf2 { dklen, c, prf, salt } => {
                check_length(*dklen)?;
                if prf != "hmac-sha256" {
                    return Err(malformed(format!("prf {prf} is not hmac-sha256")));
                }
                if !(1..=MAX_PBKDF2_ROUNDS).contains(c) {
                    return Err(DecryptError::TooCostly { parameters: format!("pbkdf2 with c = {c}") });
                }
                pbkdf2::pbkdf2_hmac::<sha2::Sha256>(password.as_bytes(), &salt.0, *c, derived.as_mut_slice());
            }
        }
        Ok(derived)
    }
}

fn scrypt_params(dklen: u32, n: u64, r: u32, p: u32) -> Result<scrypt::Params, DecryptError> {
    check_length(dklen)?;
    let memory = n.saturating_mul(u64::from(r)).saturating_mul(128);
    let work = n.saturating_mul(u64::from(r)).saturating_mul(u64::from(p));
    if memory > MAX_SCRYPT_BYTES || work > MAX_SCRYPT_WORK {
        return Err(DecryptError::TooCostly { parameters: format!("scrypt with n = {n}, r = {r}, p = {p}") });
    }
    if n < 2 || !n.is_power_of_two() {
        return Err(malformed(format!("n = {n} is no power of two above 1")));
    }
    let log_n = u8::try_from(n.trailing_zeros()).expect("at most 63");
    scrypt::Params::new(log_n, r, p).map_err(|error| malformed(error.to_string()))
}

fn check_length(dklen: u32) -> Result<(), DecryptError> {
    if dklen == DERIVED_LENGTH { Ok(()) } else { Err(malformed(format!("dklen is {dklen}, not {DERIVED_LENGTH}"))) }
}

fn apply_cipher(derived: &[u8; 32], iv: &[u8], data: &mut [u8]) {
    let mut cipher = ctr::Ctr128BE::<aes::Aes128>::new_from_slices(&derived[..16], iv).expect("both have 16 bytes");
    cipher.apply_keystream(data);
}

fn mac(derived: &[u8; 32], ciphertext: &[u8]) -> [u8; 32] {
    keccak256_parts(&[&derived[16..], ciphertext]).0
}

/// In a time that does not depend on where the two differ.
fn equal(a: &[u8], b: &[u8]) -> bool {
    let difference = a.iter().zip(b).fold(0u8, |all, (x, y)| std::hint::black_box(all | (x ^ y)));
    a.len() == b.len() && difference == 0
}

fn malformed(reason: String) -> DecryptError {
    DecryptError::Malformed { reason }
}
