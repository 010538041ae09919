//! What can be wrong with a field value. The kinds are data: an id for the record, a phrase for people, a grade.

/// One thing that is wrong with a value, and where. It never carries anything that the peer sent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub struct Defect {
    /// What is wrong.
    pub kind: DefectKind,
    /// Offset of the byte at which it shows, counted from the start of the field value.
    pub at: usize,
}

/// Writes the enum and its texts from one table, so that no kind can be without id, text or grade.
macro_rules! defect_kinds {
    ($($kind:ident $id:literal $grade:ident $text:literal)+) => {
        /// The kinds of defects. The phrase of each is its documentation.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
        #[non_exhaustive]
        pub enum DefectKind {
            $(#[doc = $text] $kind,)+
        }

        impl DefectKind {
            /// All kinds, in the order of the table.
            pub const ALL: &'static [DefectKind] = &[$(DefectKind::$kind),+];

            /// The name in records, in kebab case; never reused for something else.
            pub fn id(self) -> &'static str {
                match self { $(Self::$kind => $id,)+ }
            }

            /// A short phrase for people, without full stop.
            pub fn text(self) -> &'static str {
                match self { $(Self::$kind => $text,)+ }
            }

            /// Whether a recipient may reasonably refuse or misread the value because of it. What is not grave is
            /// worth knowing at most: legal but unusual, or wrong in a way that recipients are known to put up with.
            pub fn is_grave(self) -> bool {
                match self { $(Self::$kind => grade!($grade),)+ }
            }
        }
    };
}

macro_rules! grade {
    (grave) => {
        true
    };
    (minor) => {
        false
    };
}

defect_kinds! {
    // The field as a whole.
    ChallengesTooLong "challenges-too-long" minor "the field is longer than 8 KiB and only its beginning was read"
    ChallengesTooMany "challenges-too-many" minor "the field has more than 100 challenges, of which the first were read"
    ChallengesEmpty "challenges-empty" grave "the field has no challenge in it"
    SchemeMissing "scheme-missing" grave "a parameter stands before any scheme"
    ElementUnreadable "element-unreadable" grave "this is neither a scheme nor a parameter"

    // The grammar of parameters (RFC 9110 11.2), in challenges and in credentials.
    QuoteUnterminated "quote-unterminated" grave "the quoted string is never closed"
    SingleQuotes "single-quotes" grave "single quotes do not quote here; they count as part of the value"
    CommaMissing "comma-missing" grave "a comma is missing"
    CommaAfterScheme "comma-after-scheme" grave "a comma after the scheme parts it from its parameters"
    SemicolonSeparator "semicolon-separator" grave "a semicolon stands where a comma belongs"
    EqualsMissing "equals-missing" grave "an equals sign is missing between name and value"
    WhitespaceAroundEquals "whitespace-around-equals" minor "there is white space beside the equals sign"
    ParameterDuplicate "parameter-duplicate" grave "the parameter occurs twice"
    ParameterValueMissing "parameter-value-missing" grave "the parameter has no value"
    ValueNotQuoted "value-not-quoted" grave "the value has characters that need quotes"
    TextAfterValue "text-after-value" grave "text follows a value without separator"
    ValueControlCharacter "value-control-character" grave "the value has a control character"
    ValueNotAscii "value-not-ascii" minor "the value has bytes outside ASCII"

    // What the scheme makes of its challenge.
    RealmMissing "realm-missing" grave "the scheme requires a realm"
    RealmEmpty "realm-empty" minor "the realm is empty"
    RealmNotQuoted "realm-not-quoted" minor "the realm is not in quotes, though recipients can read it"
    CharsetNotUtf8 "charset-not-utf-8" grave "UTF-8 is the only charset that may be announced"
    NonceMissing "nonce-missing" grave "the scheme requires a nonce"
    QopMissing "qop-missing" minor "qop is missing, so that clients fall back to the form of RFC 2069"
    AlgorithmUnknown "algorithm-unknown" grave "the algorithm is not a registered one"
    BearerParametersMissing "bearer-parameters-missing" minor "the scheme requires at least one parameter"
    Token68Unexpected "token68-unexpected" grave "the scheme takes parameters, not a single value"
    Token68AndParameters "token68-and-parameters" grave "a challenge has either a single value or parameters, not both"
    NegotiateNotBase64 "negotiate-not-base64" grave "the message is not base64"

    // The outer form of credentials.
    CredentialsTooLong "credentials-too-long" minor "the value is longer than 64 KiB and only its beginning was read"
    CredentialsEmpty "credentials-empty" grave "the value is empty"
    SchemeAlone "scheme-alone" grave "nothing follows the scheme"
    SchemeAbsent "scheme-absent" grave "the value has no scheme"
    SchemeColon "scheme-colon" grave "a colon follows the scheme where a space belongs"
    SchemeEquals "scheme-equals" grave "an equals sign follows the scheme where a space belongs"
    SchemeComma "scheme-comma" grave "a comma follows the scheme where a space belongs"
    SchemeTab "scheme-tab" grave "a tab follows the scheme where a space belongs"
    SchemeGlued "scheme-glued" grave "no space parts the scheme from the token"
    SchemeSeveralSpaces "scheme-several-spaces" minor "several spaces follow the scheme, which is legal"
    SchemeRepeated "scheme-repeated" grave "a second scheme stands where the value belongs"
    SchemeSpelling "scheme-spelling" minor "the scheme is not in its registered spelling, which is legal"
    FieldNameInValue "field-name-in-value" grave "the value begins with the name of the field"
    CredentialsJoined "credentials-joined" grave "two credentials are joined in one value"
    CredentialsPercentEncoded "credentials-percent-encoded" grave "the value is percent-encoded"
    TokenPlaceholder "token-placeholder" grave "a placeholder was sent in place of a secret"

    // Characters in tokens (RFC 6750 2.1).
    TokenQuoted "token-quoted" grave "quotes stand around the value"
    TokenControlCharacter "token-control-character" grave "the token has a control character"
    TokenLineBreak "token-line-break" grave "the token has a line break"
    TokenNoBreakSpace "token-no-break-space" grave "the token has a no-break space"
    TokenByteOrderMark "token-byte-order-mark" grave "the token has a byte order mark"
    TokenZeroWidth "token-zero-width" grave "the token has an invisible character of no width"
    TokenEllipsis "token-ellipsis" grave "an ellipsis stands where the token was cut"
    TokenInnerSpace "token-inner-space" grave "the token has a space inside"
    TokenNotAscii "token-not-ascii" grave "the token has a character outside ASCII"
    TokenReservedCharacter "token-reserved-character" minor "the token has a character that bearer tokens may not have"

    // Basic (RFC 7617 2).
    BasicNotEncoded "basic-not-encoded" grave "user and password were sent without base64"
    BasicNotBase64 "basic-not-base64" grave "the value is not base64"
    BasicUrlSafe "basic-url-safe" grave "the value is in the URL-safe alphabet of base64"
    BasicPaddingMissing "basic-padding-missing" minor "the padding of base64 is missing, which many servers accept"
    BasicLineWrapped "basic-line-wrapped" grave "white space breaks up the base64"
    BasicColonMissing "basic-colon-missing" grave "no colon parts user and password"
    BasicBothEmpty "basic-both-empty" grave "both user and password are empty"
    BasicControlCharacter "basic-control-character" grave "user or password has a control character"
    BasicEndsInNewline "basic-ends-in-newline" grave "the password ends in a line break"
    BasicEncodedTwice "basic-encoded-twice" grave "the value was put into base64 twice"
    BasicNotAsciiUtf8 "basic-not-ascii-utf-8" minor "user or password is outside ASCII and is UTF-8"
    BasicNotAsciiLatin1 "basic-not-ascii-latin-1" minor "user or password is outside ASCII and is not UTF-8"

    // JSON web tokens (RFC 7515, RFC 7519).
    JwtPartCount "jwt-part-count" grave "the token has neither three parts nor five"
    JwtHeaderNotBase64 "jwt-header-not-base64" grave "the token's first part is not base64url"
    JwtPayloadNotBase64 "jwt-payload-not-base64" grave "the token's second part is not base64url"
    JwtSignatureNotBase64 "jwt-signature-not-base64" grave "the token's third part is not base64url"
    JwtPartNotBase64 "jwt-part-not-base64" grave "a later part of the token is not base64url"
    JwtStandardAlphabet "jwt-standard-alphabet" grave "the token is in the standard alphabet of base64, not the URL-safe one"
    JwtPadding "jwt-padding" grave "the token has base64 padding, which it may not have"
    JwtHeaderNotJson "jwt-header-not-json" grave "the token's header is not JSON"
    JwtHeaderNotObject "jwt-header-not-object" grave "the token's header is not a JSON object"
    JwtPayloadNotJson "jwt-payload-not-json" grave "the token's claims are not JSON"
    JwtPayloadNotObject "jwt-payload-not-object" grave "the token's claims are not a JSON object"
    JwtAlgorithmMissing "jwt-algorithm-missing" grave "the token's header names no algorithm"
    JwtTimeNotNumber "jwt-time-not-number" grave "exp, nbf or iat is not a number"
    JwtTimeInMilliseconds "jwt-time-in-milliseconds" grave "exp, nbf or iat is in milliseconds, not in seconds"
    JwtSignatureEmpty "jwt-signature-empty" grave "the token's signature is empty though its algorithm is not none"
    JwtSignatureRemoved "jwt-signature-removed" grave "the token's signature was removed by a Google service"

    // Digest responses (RFC 7616 3.4).
    DigestUsernameMissing "digest-username-missing" grave "username is missing"
    DigestUsernameTwice "digest-username-twice" grave "both username and username* are there"
    DigestRealmMissing "digest-realm-missing" grave "realm is missing"
    DigestNonceMissing "digest-nonce-missing" grave "nonce is missing"
    DigestUriMissing "digest-uri-missing" grave "uri is missing"
    DigestResponseMissing "digest-response-missing" grave "response is missing"
    DigestNcMissing "digest-nc-missing" grave "nc is missing, though there is a qop"
    DigestCnonceMissing "digest-cnonce-missing" grave "cnonce is missing, though there is a qop"
    DigestNcMalformed "digest-nc-malformed" grave "nc is not eight hexadecimal digits"
    DigestQuotesMissing "digest-quotes-missing" minor "the parameter belongs in quotes"
    DigestQuotesUnexpected "digest-quotes-unexpected" minor "the parameter may not be in quotes"

    // AWS signature version 4.
    SigV4CredentialMissing "sigv4-credential-missing" grave "Credential is missing"
    SigV4ScopeMalformed "sigv4-scope-malformed" grave "Credential is not key/date/region/service/aws4_request"
    SigV4SignedHeadersMissing "sigv4-signed-headers-missing" grave "SignedHeaders is missing"
    SigV4SignatureMissing "sigv4-signature-missing" grave "Signature is missing"
}

/// How many defects of one value are kept; whoever reads more than this has stopped reading.
const MOST: usize = 100;

/// A list under construction: bounded, and it knows what was already said.
#[derive(Default)]
pub(super) struct Defects(Vec<Defect>);

impl Defects {
    /// Adds a defect.
    pub(super) fn push(&mut self, kind: DefectKind, at: usize) {
        if self.0.len() < MOST {
            self.0.push(Defect { kind, at });
        }
    }

    /// Adds a defect unless one of its kind is there, for those that would otherwise be said of every byte.
    pub(super) fn push_once(&mut self, kind: DefectKind, at: usize) {
        if !self.has(kind) {
            self.push(kind, at);
        }
    }

    /// Whether there is a defect of that kind.
    pub(super) fn has(&self, kind: DefectKind) -> bool {
        self.0.iter().any(|defect| defect.kind == kind)
    }

    /// The list in the order of the bytes, as people read them.
    pub(super) fn finish(mut self) -> Vec<Defect> {
        self.0.sort_by_key(|defect| defect.at);
        self.0
    }
}

#[cfg(test)]
mod tests {
    use std::collections::HashSet;

    use super::*;

    #[test]
    fn ids_are_unique_and_kebab_case_and_texts_are_phrases() {
        let mut ids = HashSet::new();
        for kind in DefectKind::ALL {
            let id = kind.id();
            assert!(ids.insert(id), "{id} is there twice");
            assert!(id.bytes().all(|b| b.is_ascii_lowercase() || b.is_ascii_digit() || b == b'-'), "{id}");
            assert!(!kind.text().is_empty() && !kind.text().ends_with('.'), "{id}");
        }
    }

    #[test]
    fn a_tolerated_deviation_is_not_grave() {
        assert!(!DefectKind::RealmNotQuoted.is_grave());
        assert!(DefectKind::QuoteUnterminated.is_grave());
    }

    #[test]
    fn lists_are_bounded_and_in_order() {
        let mut defects = Defects::default();
        for at in (0..2 * MOST).rev() {
            defects.push(DefectKind::CommaMissing, at);
        }
        defects.push_once(DefectKind::CommaMissing, 0);
        let list = defects.finish();
        assert_eq!(list.len(), MOST);
        assert!(list.is_sorted_by_key(|defect| defect.at));
    }
}
