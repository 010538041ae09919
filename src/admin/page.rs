//! The files of the inspector page, which are a part of the program and are served as they lie in `page/`.
//!
//! `main.js` is the page as a whole, `state.js` what its parts share, `store.js` what it knows of the exchanges, with
//! `filter.js` and `route.js`. `exchanges.js`, `summary.js` and `timeline.js` are the views; `list.js`, `detail.js`,
//! `waterfall.js`, `diff.js` and `credentials.js` belong to the first. `copy.js` makes what is carried off, `api.js` asks the
//! program, and all elements are made by `dom.js`, which takes text as text alone.

/// The media type and the text of a file; `None` where there is none of that path.
pub(super) fn file(path: &str) -> Option<(&'static str, &'static str)> {
    let name = if path == "/" { "index.html" } else { path.strip_prefix('/')? };
    let (_, text) = FILES.iter().find(|(known, _)| *known == name)?;
    let kind = match name.rsplit_once('.')?.1 {
        "html" => "text/html; charset=utf-8",
        "css" => "text/css; charset=utf-8",
        "svg" => "image/svg+xml",
        _ => "text/javascript; charset=utf-8",
    };
    Some((kind, text))
}

macro_rules! files {
    ($($name:literal),* $(,)?) => {
        /// All files by name.
        const FILES: &[(&str, &str)] = &[$(($name, include_str!(concat!("page/", $name)))),*];
    };
}

files![
    "index.html",
    "style.css",
    "icon.svg",
    "api.js",
    "copy.js",
    "credentials.js",
    "detail.js",
    "diff.js",
    "dom.js",
    "exchanges.js",
    "filter.js",
    "list.js",
    "main.js",
    "route.js",
    "state.js",
    "store.js",
    "summary.js",
    "timeline.js",
    "waterfall.js",
];

#[cfg(test)]
mod tests {
    use std::collections::BTreeSet;
    use std::fs;
    use std::path::Path;

    use super::*;

    #[test]
    fn every_file_of_the_folder_is_served() {
        let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("src/admin/page");
        let there = fs::read_dir(folder).unwrap().map(|file| file.unwrap().file_name().into_string().unwrap());
        let served: BTreeSet<String> = FILES.iter().map(|(name, _)| (*name).to_owned()).collect();
        assert_eq!(there.collect::<BTreeSet<_>>(), served);
        assert_eq!(file("/").unwrap().0, "text/html; charset=utf-8");
        assert!(file("/style.css").is_some() && file("/../mod.rs").is_none() && file("").is_none());
    }

    /// What the policy forbids would not work, and what could run a peer's text must not be there at all.
    #[test]
    fn no_file_has_a_way_to_run_text_or_to_load_from_elsewhere() {
        for (name, text) in FILES {
            for banned in [
                "innerHTML",
                "outerHTML",
                "insertAdjacentHTML",
                "document.write",
                "eval(",
                "new Function",
                "srcdoc",
                "DOMParser",
                "createContextualFragment",
                "setAttribute('style'",
                " style=",
                " onclick=",
                "<script>",
                "javascript:",
                "src=\"http",
                "href=\"http",
                "@import",
                "url(http",
            ] {
                assert!(!text.contains(banned), "{name} has {banned:?}");
            }
            let lines = text.lines().count();
            assert!(lines <= 700, "{name} has {lines} lines");
        }
    }
}
