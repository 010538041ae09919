//! The examples of the RFCs, and what differs from them by one thing.

use super::super::jwt::parse_jwt;
use super::*;

/// RFC 7515 A.1 to A.3: the claims are the same in each.
const CLAIMS: &str = "eyJpc3MiOiJqb2UiLA0KICJleHAiOjEzMDA4MTkzODAsDQogImh0dHA6Ly9leGFtcGxlLmNvbS9pc19yb290Ijp0cnVlfQ";

const HS256: [&str; 2] = ["eyJ0eXAiOiJKV1QiLA0KICJhbGciOiJIUzI1NiJ9", "dBjftJeZ4CVP-mB92K27uhbUJU1p1r_wW1gFWFOEjXk"];
const HS256_KEY: &str =
    r#"{"kty":"oct","k":"AyM1SysPpbyDfgZld3umj1qzKObwVMkoqQ-EstJQLr_T-1qS0gZH75aKtMN3Yj0iPS4hcgUuTwjAzZr1Z9CAow"}"#;

const RS256: [&str; 2] = [
    "eyJhbGciOiJSUzI1NiJ9",
    "cC4hiUPoj9Eetdgtv3hF80EGrhuB__dzERat0XF9g2VtQgr9PJbu3XOiZj5RZmh7AAuHIm4Bh-0Qc_lF5YKt_O8W2Fp5jujGbds9uJdbF9CUAr7t1dnZc\
     AcQjbKBYNX4BAynRFdiuB--f_nZLgrnbyTyWzO75vRK5h6xBArLIARNPvkSjtQBMHlb1L07Qe7K0GarZRmB_eSN9383LcOLn6_dO--xi12jzDwusC-eOk\
     HWEsqtFZESc6BfI7noOPqvhJ1phCnvWh6IeYI2w9QOYEUipUTI8np6LbgGY9Fs98rqVt5AXLIhWkWywlVmtVrBp0igcN_IoypGlUPQGe77Rw",
];
const RS256_KEY: &str = r#"{"kty":"RSA","e":"AQAB","n":"ofgWCuLjybRlzo0tZWJjNiuSfb4p4fAkd_wWJcyQoTbji9k0l8W26mPddxHmfHQp-Vaw-4qPCJrcS2mJPMEzP1Pt0Bm4d4QlL-yRT-SFd2lZS-pCgNMsD1W_YpRPEwOWvG6b32690r2jZ47soMZo9wGzjb_7OMg0LOL-bSf63kpaSHSXndS5z5rexMdbBYUsLA9e-KXBdQOS-UTo7WTBEMa2R2CapHg665xsmtdVMTBQY4uDZlxvb3qCo5ZwKh9kG4LT6_I5IhlJH7aGhyxXFvUK-DWNmoudF8NAco9_h9iaGNj8q2ethFkMLs91kzk2PAcDTW9gb54h4FRWyuXpoQ"}"#;

const ES256: [&str; 2] =
    ["eyJhbGciOiJFUzI1NiJ9", "DtEhU3ljbEg8L38VWAfUAqOyKAM6-Xx-F4GawxaepmXFCgfTjDxw5djxLa8ISlSApmWQxfKTUJqPP3-Kg6NU1Q"];
const ES256_KEY: &str = r#"{"kty":"EC","crv":"P-256","x":"f83OJ3D2xF1Bg8vub9tLe1gHMzV76e8Tus9uPHvRVEU","y":"x_FEzRu9m36HLN_tue659LNpXW6pCyStikYjKIWI5a0"}"#;

/// Two keys of the same kind, and tokens that name one of them.
const ED_A: &str =
    r#"{"kty":"OKP","crv":"Ed25519","kid":"2026-a","use":"sig","x":"A6EHv_POEL4dcN0Y50vAmWfk1jCbpQ1fHdyGZBJVMbg"}"#;
const ED_B: &str = r#"{"kty":"OKP","crv":"Ed25519","kid":"2026-b","x":"Kay64UG8yvCyLhqU000LxzYeUm0L_hLIl5S8kyKWbdc"}"#;

const BY_A: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYSJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.brXo_PifDwlIFfzpYKnObio9Btg9z5s9Kg18jKn0jawEv5PGW0aFdjB00-egxamYYDZftudnEVh9HPUbxYgiAg";
const BY_B: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.oylWcfd0b-o3SHyHqYZS-9LCsr6_CMvtRbkKFlApPI9R_WxanSosAFYuAx0z0HVGYVD1K5GdI0qTUT5X5cCxAg";
const NAMES_B: &str = "eyJhbGciOiJFZERTQSIsImtpZCI6IjIwMjYtYiJ9.eyJpc3MiOiJodHRwczovL2xvZ2luLmV4YW1wbGUvIiwiYXVkIjoib3JkZXJzLWFwaSIsImV4cCI6MTc5NTUzMDAwMH0.rji9OstEJxiHcujElQjZ2K_MIxccj8XzM-dLapcasylTVykzAW3I12Tx1Q150G8BetAcr5S1ypQ85DhIbSLNCA";

fn set(keys: &[&str]) -> KeySet {
    KeySet::parse(format!("{{\"keys\":[{}]}}", keys.join(",")).as_bytes()).unwrap()
}

fn check(token: &str, keys: &[&str]) -> Option<Checked> {
    check_signature(token.as_bytes(), &parse_jwt(token.as_bytes()), &[&set(keys)])
}

fn token([header, signature]: [&str; 2]) -> String {
    format!("{header}.{CLAIMS}.{signature}")
}

const FITS: Option<Checked> = Some(Checked::Fits { kid: None });

#[test]
fn the_examples_of_the_rfc_fit() {
    for (parts, key) in [(HS256, HS256_KEY), (RS256, RS256_KEY), (ES256, ES256_KEY)] {
        assert_eq!(check(&token(parts), &[key]), FITS, "{key}");
        assert_eq!(check(&token(parts), &[HS256_KEY, RS256_KEY, ES256_KEY]), FITS, "{key} among others");
    }
}

#[test]
fn other_claims_do_not_fit() {
    for (parts, key) in [(HS256, HS256_KEY), (RS256, RS256_KEY), (ES256, ES256_KEY)] {
        let altered = token(parts).replace("eyJpc3MiOiJqb2UiLA0KICJ", "eyJpc3MiOiJqb2EiLA0KICJ");
        assert_eq!(check(&altered, &[key]), Some(Checked::Fails), "{key}");
    }
}

#[test]
fn a_key_of_another_kind_is_told() {
    let differs = |keys: &str| Some(Checked::AlgorithmDiffers { keys: keys.to_owned() });
    assert_eq!(check(&token(HS256), &[RS256_KEY]), differs("RSA"));
    assert_eq!(check(&token(RS256), &[HS256_KEY]), differs("oct"));
    let other = RS256_KEY.replace("\"kty\"", "\"alg\":\"PS256\",\"kty\"");
    assert_eq!(check(&token(RS256), &[&other]), differs("PS256"));
    let secret = KeySet::shared_secret(b"a secret of nobody");
    let rs256 = token(RS256);
    assert_eq!(check_signature(rs256.as_bytes(), &parse_jwt(rs256.as_bytes()), &[&secret]), differs("a shared secret"));
}

#[test]
fn what_cannot_be_told_is_not() {
    assert_eq!(check_signature(token(RS256).as_bytes(), &parse_jwt(token(RS256).as_bytes()), &[]), None);
    let unsigned = format!("eyJhbGciOiJub25lIn0.{CLAIMS}.");
    assert_eq!(check(&unsigned, &[RS256_KEY]), None);
    let cut = token(RS256);
    assert_eq!(check(cut.get(..cut.len() - 9).unwrap(), &[RS256_KEY]), None);
    // A curve that is not known here.
    assert_eq!(check(&token(ES256), &[r#"{"kty":"EC","crv":"secp256k1","x":"AA","y":"AA"}"#]), None);
}

#[test]
fn names_of_keys_count() {
    let fits = |kid: &str| Some(Checked::Fits { kid: Some(kid.to_owned()) });
    assert_eq!(check(BY_A, &[ED_A, ED_B]), fits("2026-a"));
    assert_eq!(check(BY_B, &[ED_A, ED_B]), fits("2026-b"));
    assert_eq!(check(BY_B, &[ED_A]), Some(Checked::KeyUnknown));
    assert_eq!(check(BY_B, &[RS256_KEY]), Some(Checked::KeyUnknown));
    assert_eq!(check(NAMES_B, &[ED_A, ED_B]), Some(Checked::FitsAnother { kid: Some("2026-a".to_owned()) }));
    assert_eq!(check(NAMES_B, &[ED_B]), Some(Checked::Fails));
    // The name is there, and whether the key made the signature can't be told.
    assert_eq!(check(BY_B, &[r#"{"kty":"OKP","crv":"Ed448","kid":"2026-b","x":"AA"}"#]), None);
}

#[test]
fn what_is_no_set_is_refused() {
    let error = |text: &str| KeySet::parse(text.as_bytes()).err();
    assert_eq!(error("<html>"), Some(NoKeySet::NotJson));
    assert_eq!(error("[]"), Some(NoKeySet::NoKeys));
    assert_eq!(error(r#"{"jwks_uri":"https://login.example/keys"}"#), Some(NoKeySet::NoKeys));
    assert_eq!(error(r#"{"keys":[]}"#), Some(NoKeySet::Empty));
    assert_eq!(error(r#"{"keys":[{"kty":"RSA","use":"enc","n":"AA","e":"AQAB"}]}"#), Some(NoKeySet::Empty));
    let many: Vec<&str> = std::iter::repeat_n(ED_A, 1000).collect();
    assert_eq!(set(&many).len(), MOST_KEYS);
}
