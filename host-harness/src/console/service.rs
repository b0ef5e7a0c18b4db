//! One request, from its head to its answer.
//!
//! Owns the order: from where it comes, who asks, whether that one may, and only then what is asked.

use std::net::{IpAddr, Ipv4Addr};
use std::sync::{Arc, Mutex};
use std::time::Instant;

use bytes::Bytes;
use http::request::Parts;
use http::{HeaderMap, HeaderValue, Method, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::body::Incoming;

use super::account::{Accounts, Role, same};
use super::draft::Drafts;
use super::figures::{Known, Source};
use super::form::Form;
use super::guard::{self, Attempts};
use super::pages::sign_in::{self, Why};
use super::pages::{Reply, Theme, View, problem};
use super::recent::Recent;
use super::session::{Session, Sessions, random};
use super::strings::Language;
use super::{Settings, assets};
use crate::admin::Keeper;
use crate::server::Peer;

/// The names of cookies.
const SESSION: &str = "b2o-session";
const LANGUAGE: &str = "b2o-language";
const THEME: &str = "b2o-theme";

/// What pages may do: nothing that is not from here.
const POLICY: &str = "default-src 'none'; script-src 'self'; style-src 'self'; img-src 'self' data:; \
                      connect-src 'self'; form-action 'self'; base-uri 'none'; \
                      frame-ancestors 'none'";

/// What answers requests.
pub(super) struct Service {
    pub(super) keeper: Keeper,
    figures: Source,
    pub(super) recent: Option<Arc<Recent>>,
    /// Held while the servers are asked.
    pub(super) testing: Mutex<()>,
    pub(super) line: Box<dyn Fn(&str) + Send + Sync>,
    accounts: Arc<Accounts>,
    sessions: Sessions,
    attempts: Attempts,
    pub(super) drafts: Drafts,
    /// What forms carry where nobody signs in.
    csrf: String,
    /// One password at a time is worked out: that takes memory, on purpose.
    hashing: tokio::sync::Semaphore,
}

/// A request that may be looked at.
pub(super) struct Asked {
    pub(super) method: Method,
    /// The segments of the path, decoded.
    pub(super) path: Vec<String>,
    pub(super) query: Form,
    pub(super) form: Form,
    pub(super) view: View,
    pub(super) address: IpAddr,
    /// What the gateway has counted, where the page shows it.
    pub(super) figures: Known,
}

impl Service {
    /// `None` where there is no randomness.
    pub(super) fn new(settings: Settings) -> Option<Self> {
        let Settings { listen: _, accounts, keeper, figures, recent, line } = settings;
        Some(Self {
            keeper,
            figures,
            recent,
            testing: Mutex::default(),
            line,
            accounts: Arc::new(accounts),
            sessions: Sessions::default(),
            attempts: Attempts::default(),
            drafts: Drafts::default(),
            csrf: random()?,
            hashing: tokio::sync::Semaphore::new(1),
        })
    }

    /// Answers a request.
    pub(super) async fn respond(
        self: Arc<Self>,
        request: Request<Incoming>,
    ) -> Response<Full<Bytes>> {
        let (head, body) = request.into_parts();
        let is_head = head.method == Method::HEAD;
        let reply = self.answer(&head, body).await;
        let mut response = finished(reply, &head.headers);
        if is_head {
            *response.body_mut() = Full::default();
        }
        response
    }

    async fn answer(self: &Arc<Self>, head: &Parts, body: Incoming) -> Reply {
        let peer = head.extensions.get::<Peer>();
        let address = peer.map_or(IpAddr::V4(Ipv4Addr::UNSPECIFIED), |peer| peer.0.ip());
        let mut view = self.view(head, address);
        let host = guard::host(&head.headers, &head.uri);
        if self.accounts.are_none() && !guard::is_local(host) {
            return problem::page(&view, StatusCode::FORBIDDEN, view.s.wrong_host);
        }
        let method = match head.method {
            Method::GET | Method::HEAD => Method::GET,
            Method::POST => Method::POST,
            _ => {
                return problem::page(&view, StatusCode::METHOD_NOT_ALLOWED, view.s.wrong_method);
            }
        };
        let path = segments(head.uri.path());
        if let [first, name] = path.as_slice()
            && first == "assets"
        {
            return asset(name).unwrap_or_else(|| absent(&view));
        }
        let is_post = method == Method::POST;
        if is_post && !guard::is_own(&head.headers, host) {
            self.tell(
                address,
                &view,
                &format!("refused: a form of another page, {}", head.uri.path()),
            );
            return problem::page(&view, StatusCode::FORBIDDEN, view.s.foreign_form);
        }
        let form = match is_post {
            true => Form::read(body).await,
            false => Some(Form::default()),
        };
        let Some(form) = form else {
            return problem::page(&view, StatusCode::PAYLOAD_TOO_LARGE, view.s.form_too_large);
        };
        let query = Form::parse(head.uri.query().unwrap_or_default().as_bytes());
        let names: Vec<&str> = path.iter().map(String::as_str).collect();
        match (is_post, names.as_slice()) {
            (true, ["settings"]) => return settings(&form),
            (true, ["sign-in"]) => return self.sign_in(&view, address, &form).await,
            (false, ["sign-in"]) => {
                if view.session.is_some() {
                    return Reply::redirect("/");
                }
                let next = query.get("next").to_owned();
                view.here = "/sign-in".to_owned();
                return sign_in::page(&view, self.accounts.have_keys(), &next, Why::New);
            }
            (_, _) => {}
        }
        let Some(session) = view.session.clone() else {
            let next: String = url::form_urlencoded::byte_serialize(view.here.as_bytes()).collect();
            return match is_post {
                true => problem::page(&view, StatusCode::FORBIDDEN, view.s.signed_out),
                false => Reply::redirect(format!("/sign-in?next={next}")),
            };
        };
        if is_post && !same(form.get("csrf"), &session.csrf) {
            self.tell(address, &view, &format!("refused: no token, {}", head.uri.path()));
            return problem::page(&view, StatusCode::FORBIDDEN, view.s.foreign_form);
        }
        if (is_post, names.as_slice()) == (true, &["sign-out"]) {
            return self.sign_out(head, &view, address);
        }
        // What was reviewed is what is saved.
        let form = match form.get("draft") {
            "" => form,
            id => match self.drafts.find(id, &session.csrf, Instant::now()) {
                Some(mut draft) => {
                    for name in ["tag", "do"] {
                        draft.set(name, form.get(name));
                    }
                    draft
                }
                None => return problem::page(&view, StatusCode::CONFLICT, view.s.form_is_gone),
            },
        };
        let is_shown = matches!((is_post, names.as_slice()), (false, [] | ["buckets", _]));
        let figures = if is_shown { self.figures.ask().await } else { None };
        let asked = Asked { method, path, query, form, view, address, figures };
        let service = Arc::clone(self);
        // Files are read and written, and Envoy may be waited for.
        let done = tokio::task::spawn_blocking(move || service.perform(asked)).await;
        done.unwrap_or_else(|error| {
            Reply::text(StatusCode::INTERNAL_SERVER_ERROR, "text/plain", format!("{error}\n"))
        })
    }

    fn view(&self, head: &Parts, address: IpAddr) -> View {
        let headers = &head.headers;
        let now = Instant::now();
        let session = match self.accounts.are_none() {
            true => Some(Session::open(self.csrf.clone(), address, now)),
            false => {
                cookie(headers, SESSION).and_then(|token| self.sessions.find(token, address, now))
            }
        };
        let accepted = headers.get(header::ACCEPT_LANGUAGE).and_then(|value| value.to_str().ok());
        let chosen = cookie(headers, LANGUAGE).and_then(Language::of);
        let language = chosen.unwrap_or_else(|| Language::accepted(accepted.unwrap_or_default()));
        View {
            s: language.strings(),
            language,
            theme: cookie(headers, THEME).map_or(Theme::Auto, Theme::of),
            session,
            is_open: self.accounts.are_none(),
            here: head.uri.path_and_query().map_or("/", http::uri::PathAndQuery::as_str).to_owned(),
        }
    }

    async fn sign_in(&self, view: &View, address: IpAddr, form: &Form) -> Reply {
        let next = form.get("next");
        let has_keys = self.accounts.have_keys();
        let now = Instant::now();
        if let Some(wait) = self.attempts.wait(address, now) {
            self.tell(address, view, "refused: too many attempts to sign in");
            return sign_in::page(view, has_keys, next, Why::Wait(wait));
        }
        self.attempts.note(address, now);
        let accounts = Arc::clone(&self.accounts);
        let (name, password) =
            (form.get("name").trim().to_owned(), form.get("password").to_owned());
        let found = {
            // Nobody closes it.
            let _turn = self.hashing.acquire().await;
            tokio::task::spawn_blocking(move || accounts.find(&name, &password)).await
        };
        let Some(role) = found.ok().flatten() else {
            self.tell(address, view, "refused: a wrong password");
            return sign_in::page(view, has_keys, next, Why::Wrong);
        };
        self.attempts.forget(address);
        let name = match form.get("name").trim() {
            "" => role.as_str().to_owned(),
            // It is the one of the keys, or this would not be reached.
            name => format!("{} {name}", role.as_str()),
        };
        let Some(token) = self.sessions.begin(role, name.clone(), address, Instant::now()) else {
            return problem::page(view, StatusCode::SERVICE_UNAVAILABLE, view.s.cannot);
        };
        (self.line)(&format!("console: {address} {name}: signed in"));
        let mut reply = Reply::redirect(local(next));
        reply.cookies.push(format!("{SESSION}={token}; Path=/; HttpOnly; SameSite=Strict"));
        reply
    }

    fn sign_out(&self, head: &Parts, view: &View, address: IpAddr) -> Reply {
        if let Some(token) = cookie(&head.headers, SESSION) {
            self.sessions.end(token);
        }
        self.tell(address, view, "signed out");
        let mut reply = Reply::redirect("/sign-in");
        reply.cookies.push(format!("{SESSION}=; Path=/; HttpOnly; SameSite=Strict; Max-Age=0"));
        reply
    }

    /// A line about what somebody does.
    pub(super) fn tell(&self, address: IpAddr, view: &View, what: &str) {
        let name = view.session.as_ref().map_or("nobody", |session| session.name.as_str());
        (self.line)(&format!("console: {address} {name}: {what}"));
    }
}

impl Asked {
    /// Whether rules may be changed by who asks.
    pub(super) fn may_change(&self) -> bool {
        self.view.session.as_ref().is_some_and(|session| session.role == Role::Editor)
    }
}

/// The page of what is not there.
pub(super) fn absent(view: &View) -> Reply {
    problem::page(view, StatusCode::NOT_FOUND, view.s.no_such_page)
}

fn asset(name: &str) -> Option<Reply> {
    let known = [assets::style(), assets::script()];
    let asset = known.into_iter().find(|asset| asset.name == name)?;
    let reply = Reply::text(StatusCode::OK, asset.kind, asset.text.to_owned());
    Some(Reply { is_asset: true, ..reply })
}

/// Language and colours are no secret, and stay a year.
fn settings(form: &Form) -> Reply {
    let mut reply = Reply::redirect(local(form.get("back")));
    let kept = "Path=/; SameSite=Lax; Max-Age=31536000";
    if let Some(language) = Language::of(form.get("language")) {
        reply.cookies.push(format!("{LANGUAGE}={}; {kept}", language.tag()));
    }
    reply.cookies.push(format!("{THEME}={}; {kept}", Theme::of(form.get("theme")).as_str()));
    reply
}

/// A way within this console; any other leads to its first page.
fn local(to: &str) -> &str {
    let rest = to.strip_prefix('/');
    let is_ours = rest.is_some_and(|rest| !rest.starts_with(['/', '\\']));
    let is_plain = to.bytes().all(|byte| byte.is_ascii_graphic());
    if is_ours && is_plain && !to.starts_with("/sign-") { to } else { "/" }
}

fn segments(path: &str) -> Vec<String> {
    let parts = path.split('/').filter(|part| !part.is_empty());
    let decoded =
        |part| percent_encoding::percent_decode_str(part).decode_utf8_lossy().into_owned();
    parts.map(decoded).collect()
}

fn cookie<'r>(headers: &'r HeaderMap, name: &str) -> Option<&'r str> {
    let all = headers.get_all(header::COOKIE).iter().filter_map(|value| value.to_str().ok());
    all.flat_map(|line| line.split(';'))
        .find_map(|pair| pair.trim().strip_prefix(name)?.strip_prefix('='))
}

/// The response, with what every one carries.
fn finished(reply: Reply, asked: &HeaderMap) -> Response<Full<Bytes>> {
    let mut response = Response::new(Full::from(reply.body));
    *response.status_mut() = reply.status;
    let headers = response.headers_mut();
    let kept = match reply.is_asset {
        true => "public, max-age=31536000, immutable",
        false => "no-store",
    };
    for (name, value) in [
        (header::CONTENT_TYPE, reply.kind),
        (header::CACHE_CONTROL, kept),
        (header::CONTENT_SECURITY_POLICY, POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::X_FRAME_OPTIONS, "DENY"),
        (header::REFERRER_POLICY, "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    for (name, value) in [
        ("cross-origin-opener-policy", "same-origin"),
        ("cross-origin-resource-policy", "same-origin"),
    ] {
        headers.insert(name, HeaderValue::from_static(value));
    }
    // A proxy with TLS before the console says so; then the cookie goes by TLS alone.
    let is_secure = asked.get("x-forwarded-proto").is_some_and(|scheme| scheme == "https");
    for cookie in reply.cookies {
        let cookie = if is_secure { format!("{cookie}; Secure") } else { cookie };
        // Tokens and words: always a header.
        headers.extend(HeaderValue::try_from(cookie).ok().map(|value| (header::SET_COOKIE, value)));
    }
    let location = reply.location.and_then(|to| HeaderValue::try_from(to).ok());
    headers.extend(location.map(|to| (header::LOCATION, to)));
    headers.extend(reply.retry_after.map(|wait| (header::RETRY_AFTER, HeaderValue::from(wait))));
    response
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn nobody_is_led_elsewhere() {
        for (to, expected) in [
            ("/buckets/a?x=1", "/buckets/a?x=1"),
            ("//evil.example", "/"),
            ("/\\evil.example", "/"),
            ("https://evil.example", "/"),
            ("/a\r\nset-cookie: x", "/"),
            ("/sign-out", "/"),
            ("", "/"),
        ] {
            assert_eq!(local(to), expected, "{to}");
        }
    }
}
