//! The web pages, out of the program itself.
//!
//! They hold no data, so they need no token: what they show they ask of the API. Every path that
//! is no file and looks like a page is the one page; the rest is not there.

use axum::http::header::{
    ACCEPT_ENCODING, CACHE_CONTROL, CONTENT_ENCODING, CONTENT_SECURITY_POLICY, CONTENT_TYPE, ETAG,
    IF_NONE_MATCH, REFERRER_POLICY, VARY,
};
use axum::http::{HeaderMap, HeaderName, HeaderValue, Method, StatusCode, Uri};
use axum::response::{IntoResponse, Response};

use super::error::no_such_route;

/// Scripts and styles of our own, and nothing from elsewhere.
const POLICY: &str = "default-src 'self'; style-src-attr 'unsafe-inline'; img-src 'self' data:; \
                      object-src 'none'; base-uri 'none'; form-action 'none'; \
                      frame-ancestors 'none'";
/// What changes with each build bears a hash in its name.
const FOR_EVER: &str = "public, max-age=31536000, immutable";
const ASK_AGAIN: &str = "no-cache";
const PAGE: &str = "/index.html";
/// Beginnings of paths that are no pages.
const NO_PAGES: &[&str] = &["/api", "/metrics", "/livez", "/readyz"];
const NOT_BUILT: &str = "<!doctype html><html lang=en><meta charset=utf-8><title>Immune</title>\
    <h1>The web pages are not in this program</h1><p>Build them with <code>make ui</code>, and \
    then the program again. The API is at <code>/api/v1</code>, and <code>immune status</code> \
    says how things are.</html>\n";

/// A file of the web pages.
#[derive(Debug)]
pub struct File {
    /// From `/` on.
    pub path: &'static str,
    pub content_type: &'static str,
    /// Of its bytes.
    pub hash: &'static str,
    /// Its name changes with its content.
    pub hashed: bool,
    pub bytes: &'static [u8],
    /// Where that is smaller.
    pub gzip: Option<&'static [u8]>,
}

include!(concat!(env!("OUT_DIR"), "/ui_files.rs"));

/// Whatever is no route.
pub(super) async fn serve(method: Method, uri: Uri, headers: HeaderMap) -> Response {
    if method != Method::GET && method != Method::HEAD {
        return no_such_route(uri).await.into_response();
    }
    match answer(FILES, uri.path(), &headers) {
        Some(response) => response,
        None => no_such_route(uri).await.into_response(),
    }
}

/// `None` where there is neither a file nor a page.
fn answer(files: &'static [File], path: &str, headers: &HeaderMap) -> Option<Response> {
    let find = |path: &str| files.iter().find(|file| file.path == path);
    if let Some(file) = find(path) {
        return Some(of(file, headers));
    }
    if !is_page(path) {
        return None;
    }
    Some(match find(PAGE) {
        Some(page) => of(page, headers),
        None => guarded((StatusCode::NOT_FOUND, html(), NOT_BUILT).into_response()),
    })
}

fn html() -> [(HeaderName, &'static str); 1] {
    [(CONTENT_TYPE, "text/html; charset=utf-8")]
}

fn is_page(path: &str) -> bool {
    let within = |start: &str| {
        path.strip_prefix(start).is_some_and(|rest| rest.is_empty() || rest.starts_with('/'))
    };
    let last = path.rsplit('/').next().unwrap_or_default();
    !last.contains('.') && !NO_PAGES.iter().any(|start| within(start))
}

fn of(file: &'static File, headers: &HeaderMap) -> Response {
    let etag = format!("\"{}\"", file.hash);
    let cache = if file.hashed { FOR_EVER } else { ASK_AGAIN };
    let known = headers.get_all(IF_NONE_MATCH).iter().filter_map(|tags| tags.to_str().ok());
    let is_known = known.flat_map(|tags| tags.split(',')).any(|tag| {
        let tag = tag.trim();
        tag.strip_prefix("W/").unwrap_or(tag) == etag
    });
    let mut response = match (is_known, file.gzip.filter(|_| takes_gzip(headers))) {
        (true, _) => StatusCode::NOT_MODIFIED.into_response(),
        (false, Some(gzip)) => ([(CONTENT_ENCODING, "gzip")], gzip).into_response(),
        (false, None) => file.bytes.into_response(),
    };
    // A weak tag: it stands for the file, however it is encoded.
    if let Ok(etag) = HeaderValue::from_str(&format!("W/{etag}")) {
        response.headers_mut().insert(ETAG, etag);
    }
    for (name, value) in
        [(CONTENT_TYPE, file.content_type), (CACHE_CONTROL, cache), (VARY, "accept-encoding")]
    {
        response.headers_mut().insert(name, HeaderValue::from_static(value));
    }
    guarded(response)
}

fn guarded(mut response: Response) -> Response {
    let headers = response.headers_mut();
    headers.insert(CONTENT_SECURITY_POLICY, HeaderValue::from_static(POLICY));
    headers.insert(REFERRER_POLICY, HeaderValue::from_static("no-referrer"));
    response
}

fn takes_gzip(headers: &HeaderMap) -> bool {
    let accepted = headers.get_all(ACCEPT_ENCODING).iter().filter_map(|it| it.to_str().ok());
    accepted.flat_map(|it| it.split(',')).any(|coding| {
        let mut parts = coding.split(';').map(str::trim);
        let named = parts.next().is_some_and(|name| name.eq_ignore_ascii_case("gzip"));
        let refused = parts.any(|weight| matches!(weight, "q=0" | "q=0.0" | "q=0.00" | "q=0.000"));
        named && !refused
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    static BUILT: &[File] = &[
        File {
            path: "/assets/index-4f2a.js",
            content_type: "text/javascript; charset=utf-8",
            hash: "aa",
            hashed: true,
            bytes: b"let plain",
            gzip: Some(b"packed"),
        },
        File {
            path: "/index.html",
            content_type: "text/html; charset=utf-8",
            hash: "bb",
            hashed: false,
            bytes: b"<!doctype html>",
            gzip: None,
        },
    ];

    fn ask(path: &str, header: Option<(HeaderName, &'static str)>) -> Option<Response> {
        let header = header.map(|(name, value)| (name, HeaderValue::from_static(value)));
        answer(BUILT, path, &header.into_iter().collect())
    }

    fn header<'a>(response: &'a Response, name: &str) -> &'a str {
        response.headers().get(name).map_or("", |value| value.to_str().unwrap())
    }

    #[test]
    fn files_are_kept_for_ever_by_browsers_and_the_page_is_asked_for_again() {
        let script = ask("/assets/index-4f2a.js", None).unwrap();
        assert!(header(&script, "cache-control").contains("immutable"));
        assert_eq!(header(&script, "content-encoding"), "");
        let packed = ask("/assets/index-4f2a.js", Some((ACCEPT_ENCODING, "br, gzip"))).unwrap();
        assert_eq!(header(&packed, "content-encoding"), "gzip");
        assert_eq!(header(&packed, "content-type"), "text/javascript; charset=utf-8");
        let plain = ask("/assets/index-4f2a.js", Some((ACCEPT_ENCODING, "gzip;q=0"))).unwrap();
        assert_eq!(header(&plain, "content-encoding"), "");
        for path in ["/", "/index.html", "/incidents/7", "/services/cart"] {
            let page = ask(path, None).unwrap();
            assert_eq!(page.status(), StatusCode::OK, "{path}");
            assert_eq!(header(&page, "cache-control"), "no-cache", "{path}");
            assert!(header(&page, "content-security-policy").contains("frame-ancestors 'none'"));
            let tag = header(&page, "etag").to_owned();
            assert_eq!(tag, "W/\"bb\"");
        }
        for tags in ["W/\"bb\"", "\"x\", \"bb\""] {
            let again = ask("/", Some((IF_NONE_MATCH, tags))).unwrap();
            assert_eq!(again.status(), StatusCode::NOT_MODIFIED, "{tags}");
        }
    }

    #[test]
    fn what_is_neither_a_file_nor_a_page_is_not_there() {
        for path in ["/api", "/api/v2/status", "/metrics/x", "/old.js", "/assets/gone-1.css"] {
            assert!(ask(path, None).is_none(), "{path}");
        }
        assert!(ask("/apis", None).is_some() && ask("/metricsx", None).is_some());
        let nothing = answer(&[], "/", &HeaderMap::new()).unwrap();
        assert_eq!(nothing.status(), StatusCode::NOT_FOUND);
    }
}
