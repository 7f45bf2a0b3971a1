use super::*;
use serde_json::Value;
use std::os::unix::fs::PermissionsExt;

fn password(text: &str) -> Password {
    Password::new(text, "the test")
}

fn keystore() -> (tempfile::TempDir, Keystore) {
    let folder = tempfile::tempdir().expect("temporary folder");
    let keystore = Keystore::new(folder.path().join("keystore")).with_cost(ScryptCost::LIGHT);
    (folder, keystore)
}

fn key(byte: u8) -> SecretKey {
    SecretKey::from_bytes([byte; 32]).expect("a key")
}

#[test]
fn official_vectors_open_with_their_passwords_and_no_others() {
    let Some(root) = std::env::var_os("CALLBOARD_VECTORS") else {
        println!("CALLBOARD_VECTORS is not set: KeyStoreTests not run");
        return;
    };
    let files = fs::read_dir(Path::new(&root).join("KeyStoreTests")).expect("KeyStoreTests");
    let (mut read, mut cases) = (Vec::new(), 0);
    for file in files {
        let path = file.expect("entry").path();
        let cases_of_file: Value = serde_json::from_slice(&fs::read(&path).expect("vector")).expect("JSON");
        for (name, case) in cases_of_file.as_object().expect("cases") {
            let file = KeyFile::from_json(case["json"].to_string().as_bytes()).expect(name);
            let right = case["password"].as_str().expect("password");
            let key = file.decrypt(&password(right)).expect(name);
            assert_eq!(hex::encode(key.to_bytes()), case["priv"].as_str().expect("priv"), "{name}");
            let wrong = file.decrypt(&password(&format!("{right}x"))).expect_err(name);
            assert_eq!(wrong, DecryptError::WrongPassword, "{name}");
            cases += 1;
        }
        read.push(path.file_name().expect("name").to_string_lossy().into_owned());
    }
    assert_eq!(read, ["basic_tests.json"], "every file of the set is read");
    assert_eq!(cases, 5);
    println!("KeyStoreTests: {cases} cases");
}

#[test]
fn a_key_comes_back_with_its_password() {
    let (_folder, keystore) = keystore();
    assert_eq!(keystore.list().expect("an absent folder is empty"), []);
    let created = keystore.create(&password("secret")).expect("created");
    let entry = keystore.import(&key(7), &password("other")).expect("imported");
    assert_eq!(keystore.list().expect("list").len(), 2);
    assert_eq!(keystore.find(key(7).address()).expect("found"), entry);
    let back = keystore.unlock(created.address(), &password("secret")).expect("unlocked");
    assert_eq!(back.to_bytes(), created.to_bytes());
    let wrong = keystore.unlock(created.address(), &password("secret ")).expect_err("wrong password");
    assert!(wrong.to_string().ends_with("the password is wrong"), "{wrong}");
}

#[test]
fn key_files_are_named_like_geths_and_private() {
    let (_folder, keystore) = keystore();
    let entry = keystore.import(&key(7), &password("secret")).expect("imported");
    let name = entry.path.file_name().expect("name").to_string_lossy().into_owned();
    assert!(name.starts_with("UTC--20") && name.ends_with(&hex::encode(entry.address)), "{name}");
    assert_eq!(fs::metadata(&entry.path).expect("file").permissions().mode() & 0o777, 0o600);
    assert_eq!(fs::metadata(keystore.folder()).expect("folder").permissions().mode() & 0o777, 0o700);
    assert_eq!(fs::read_dir(keystore.folder()).expect("folder").count(), 1, "nothing is left beside it");
}

#[test]
fn a_key_is_never_overwritten() {
    let (_folder, keystore) = keystore();
    keystore.import(&key(7), &password("secret")).expect("imported");
    let refused = keystore.import(&key(7), &password("other"));
    assert!(matches!(refused, Err(KeystoreError::Exists { .. })), "{refused:?}");
    let path = keystore.find(key(7).address()).expect("found").path;
    let before = fs::read(&path).expect("file");
    assert!(write_private(&path, b"other").is_err());
    assert_eq!(fs::read(&path).expect("file"), before);
}

#[test]
fn short_passwords_are_refused_and_nothing_is_written() {
    let (_folder, keystore) = keystore();
    let refused = keystore.create(&password("four")).expect_err("too short");
    assert_eq!(refused.to_string(), "the test: the password is 4 bytes long and must have at least 5");
    assert!(!keystore.folder().exists());
    assert!(keystore.create(&password("fives")).is_ok());
}

#[test]
fn other_files_in_the_folder_are_passed_over() {
    let (_folder, keystore) = keystore();
    keystore.import(&key(7), &password("secret")).expect("imported");
    fs::write(keystore.folder().join("high-water-1"), "5 0x").expect("written");
    fs::write(keystore.folder().join("notes.json"), "{}").expect("written");
    fs::create_dir(keystore.folder().join("folder")).expect("created");
    assert_eq!(keystore.list().expect("list").len(), 1);
}

#[test]
fn hostile_key_files_are_refused_before_they_cost_anything() {
    let good = KeyFile::encrypt(&key(7), &password("secret"), ScryptCost::LIGHT).expect("encrypted");
    let good: Value = serde_json::from_str(&good.to_json()).expect("JSON");
    let decrypt = |pointer: &str, value: Value| {
        let mut file = good.clone();
        *file.pointer_mut(pointer).expect(pointer) = value;
        KeyFile::from_json(file.to_string().as_bytes()).and_then(|file| file.decrypt(&password("secret")))
    };
    assert!(decrypt("/version", 3.into()).is_ok());
    for (pointer, value) in [
        ("/crypto/kdfparams/n", Value::from(1u64 << 30)),
        ("/crypto/kdfparams/n", Value::from(u64::MAX)),
        ("/crypto/kdfparams/r", Value::from(u32::MAX)),
        ("/crypto/kdfparams/p", Value::from(u32::MAX)),
    ] {
        assert!(matches!(decrypt(pointer, value.clone()), Err(DecryptError::TooCostly { .. })), "{pointer} {value}");
    }
    for (pointer, value) in [
        ("/version", Value::from(1)),
        ("/crypto/kdfparams/n", Value::from(8191)),
        ("/crypto/kdfparams/n", Value::from(0)),
        ("/crypto/kdfparams/r", Value::from(0)),
        ("/crypto/kdfparams/dklen", Value::from(16)),
        ("/crypto/kdf", Value::from("argon2")),
        ("/crypto/cipher", Value::from("aes-128-cbc")),
        ("/crypto/ciphertext", Value::from("00")),
        ("/crypto/cipherparams/iv", Value::from("00")),
        ("/crypto/mac", Value::from("xyz")),
    ] {
        assert!(matches!(decrypt(pointer, value.clone()), Err(DecryptError::Malformed { .. })), "{pointer} {value}");
    }
    assert_eq!(decrypt("/crypto/mac", "".into()).err(), Some(DecryptError::WrongPassword));
    let other = decrypt("/address", hex::encode(key(8).address()).into());
    assert!(matches!(other, Err(DecryptError::OtherAddress { .. })), "{other:?}");
}

#[test]
fn passwords_come_from_the_first_line_of_their_file() {
    let folder = tempfile::tempdir().expect("temporary folder");
    let file = folder.path().join("password");
    let source = PasswordSource {
        what: "the key",
        variable: "CALLBOARD_PASSWORD_THAT_NOBODY_SETS",
        key: "authority.password_file",
        file: Some(&file),
    };
    let missing = source.read().expect_err("no file").to_string();
    assert!(missing.starts_with("authority.password_file = "), "{missing}");
    fs::write(&file, "secret\r\n").expect("written");
    assert_eq!(source.read_new().expect("password").as_bytes(), b"secret");
    fs::write(&file, "abcd\n").expect("written");
    let short = source.read_new().expect_err("too short").to_string();
    assert!(short.contains("4 bytes long") && short.contains("authority.password_file"), "{short}");
}
