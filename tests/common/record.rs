//! Questions to a record, each failing with the whole record in view.

use serde_json::Value;

pub fn verdict(record: &Value) -> &str {
    record["diagnosis"]["verdict"].as_str().unwrap_or_else(|| panic!("no verdict in {record:#}"))
}

#[track_caller]
pub fn assert_verdict(record: &Value, expected: &str) {
    assert_eq!(verdict(record), expected, "the verdict of {record:#}");
    if expected != "ok" {
        // The first finding is the verdict's.
        assert_eq!(findings(record)[0]["rule"], expected, "the first finding of {record:#}");
    }
}

/// The verdict, and that its finding has the severity `info`, `warning` or `error`.
#[track_caller]
pub fn assert_finding(record: &Value, rule: &str, severity: &str) {
    assert_verdict(record, rule);
    assert_eq!(findings(record)[0]["severity"], severity, "the severity of {rule} in {record:#}");
    if severity == "info" {
        assert_no_alarm(record);
    }
}

/// No error and no warning: what healthy traffic must yield, the first leg of a handshake included.
#[track_caller]
pub fn assert_no_alarm(record: &Value) {
    for finding in findings(record) {
        assert_eq!(finding["severity"], "info", "a false alarm in {record:#}");
    }
}

/// A healthy exchange that was carried to its end, untouched.
#[track_caller]
pub fn assert_ok(record: &Value) {
    assert_verdict(record, "ok");
    assert_no_alarm(record);
    assert_outcome(record, "complete");
    assert_untouched(record);
}

#[track_caller]
pub fn assert_outcome(record: &Value, expected: &str) {
    assert_eq!(record["outcome"], expected, "the outcome of {record:#}");
}

/// The tap says that it changed nothing: on loopback it keeps even the Host.
#[track_caller]
pub fn assert_untouched(record: &Value) {
    let edits = &record["edits"];
    assert!(edits.is_null() || edits.as_array().is_some_and(Vec::is_empty), "edits in {record:#}");
}

#[track_caller]
pub fn assert_status(record: &Value, expected: u16) {
    assert_eq!(record["response"]["status"], expected, "the status of {record:#}");
}

pub fn findings(record: &Value) -> &[Value] {
    record["diagnosis"]["findings"].as_array().unwrap_or_else(|| panic!("no findings in {record:#}"))
}

/// The names in `record["request"]` or `record["response"]`, in order and as spelled.
pub fn header_names(message: &Value) -> Vec<&str> {
    pairs(message).into_iter().map(|(name, _)| name).collect()
}

/// The values of the fields whose name is spelled exactly so.
pub fn header_values<'a>(message: &'a Value, name: &str) -> Vec<&'a str> {
    pairs(message).into_iter().filter(|(n, _)| *n == name).map(|(_, value)| value).collect()
}

fn pairs(message: &Value) -> Vec<(&str, &str)> {
    let fields = message["headers"].as_array().unwrap_or_else(|| panic!("no headers in {message:#}"));
    fields
        .iter()
        .map(|field| match (field[0].as_str(), field[1].as_str()) {
            (Some(name), Some(value)) => (name, value),
            _ => panic!("not a name and a value: {field}"),
        })
        .collect()
}

/// The scheme of the first credential, in lower case.
pub fn scheme(record: &Value) -> &str {
    let scheme = &record["request"]["credentials"][0]["scheme"];
    scheme.as_str().unwrap_or_else(|| panic!("no credential in {record:#}"))
}
