//! One request: what it means, who it is of, what is answered; and what is counted and written down of it.

use std::net::IpAddr;
use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::task::Poll;
use std::time::{Duration, Instant};

use data_encoding::HEXLOWER;
use http::{HeaderMap, HeaderValue, Request, Response, StatusCode, header};
use http_body_util::{BodyExt, Full, Limited};
use hyper::body::{Bytes, Incoming};
use jiff::Timestamp;

use super::access_log::AccessLog;
use super::alarm::Alarm;
use super::classes::Classes;
use super::door::{Door, Guest};
use super::listen::Answers;
use super::metrics::Metrics;
use super::places::Places;
use super::route::{self, Route, Wish};
use super::turns::Turn;
use super::upstream::{Upstream, Way};
use crate::ask::access::{Operation, Record};
use crate::ask::limits::Terms;
use crate::ask::refusal::Refusal;
use crate::ask::sts::{self, Exchange};
use crate::ask::wire::{self, Question};
use crate::ask::{answer, whose::Asked};

/// How long a caller may take for the body of a request,
const BODY: Duration = Duration::from_secs(10);
/// and one that is not known before the body is read.
const BODY_OF_A_STRANGER: Duration = Duration::from_secs(2);
/// One part in so many of all places is for callers that are not known yet, and as much is the most that one tenant has; of
/// the former, an address has again one part in so many.
const PARTS: usize = 8;
/// The least that such a part is.
const LEAST: usize = 8;

/// What the records of all requests have in common.
#[derive(Clone, Debug, Default)]
pub struct Here {
    /// The installation.
    pub installation: String,
    /// Its region.
    pub region: String,
    /// This replica.
    pub replica: String,
}

/// Answers requests.
pub struct Server {
    /// Where it is.
    pub here: Here,
    /// Who comes in.
    pub door: Door,
    /// What tenants may ask.
    pub classes: Arc<Classes>,
    /// Who answers.
    pub upstream: Upstream,
    /// Who is told when a passage is another's.
    pub alarm: Alarm,
    /// What is counted.
    pub metrics: Arc<Metrics>,
    /// What is written down.
    pub log: AccessLog,
    /// How many requests may be under way.
    pub max_in_flight: usize,
    /// How many are.
    pub in_flight: AtomicUsize,
    /// Those of callers that are not known yet, by their addresses.
    pub strangers: Arc<Places<IpAddr>>,
    /// Questions of tenants.
    pub questions: Arc<Places<Arc<str>>>,
}

/// The most of so many places that is not everybody's.
fn part(places: usize) -> usize {
    (places / PARTS).max(LEAST)
}

/// What callers that are not known yet may have of so many places.
pub fn of_strangers(places: usize) -> Arc<Places<IpAddr>> {
    Places::new(part(places), part(part(places)))
}

/// What each tenant may have of so many places.
pub fn of_tenants(places: usize) -> Arc<Places<Arc<str>>> {
    Places::new(places, part(places))
}

/// A place among the requests under way.
struct InFlight<'a>(&'a Server);

impl Drop for InFlight<'_> {
    fn drop(&mut self) {
        self.0.in_flight.fetch_sub(1, Ordering::Relaxed);
        self.0.metrics.in_flight.dec();
    }
}

/// The record of a request, which is written however the request ends: a caller that goes away drops what works on its answer.
struct Noted<'a> {
    server: &'a Server,
    record: Record,
    begun: Instant,
    is_answered: bool,
}

impl Drop for Noted<'_> {
    fn drop(&mut self) {
        if !self.is_answered {
            self.record.gone();
        }
        self.server.note(&mut self.record, self.begun.elapsed());
    }
}

type Reply = Response<Full<Bytes>>;

impl Answers for Server {
    async fn answer(&self, request: Request<Incoming>, peer: IpAddr) -> Reply {
        let route = Route::of(request.method(), request.uri().path());
        let record = Record::new(&request_id(), Timestamp::now(), route.wish.operation());
        let mut noted = Noted { server: self, record, begun: Instant::now(), is_answered: false };
        let answered = match self.place() {
            None => Err(Refusal::Overloaded),
            Some(_place) => self.answered(request, peer, &route, &mut noted.record).await,
        };
        noted.is_answered = true;
        let record = &mut noted.record;
        match answered {
            Ok(body) => reply(&route.wish, StatusCode::OK, body, &record.id),
            Err(refusal) => {
                record.refused(&refusal);
                self.metrics.refused(refusal.row().reason);
                refused(&route.wish, &refusal, &record.id)
            }
        }
    }
}

impl Server {
    /// A place, if there is one left.
    fn place(&self) -> Option<InFlight<'_>> {
        let under_way = self.in_flight.fetch_add(1, Ordering::Relaxed);
        self.metrics.in_flight.inc();
        let place = InFlight(self);
        (under_way < self.max_in_flight).then_some(place)
    }

    async fn answered(
        &self,
        request: Request<Incoming>,
        peer: IpAddr,
        route: &Route,
        record: &mut Record,
    ) -> Result<Bytes, Refusal> {
        let (head, body) = request.into_parts();
        if let Some(tenant) = &route.tenant {
            record.names(tenant);
        }
        match &route.wish {
            Wish::Exchange => self.as_stranger(peer, self.exchange(body, route, record)).await,
            Wish::Retrieve(knowledge_base) => {
                let guest = self.guest(&head.headers, route, record);
                let guest = self.as_stranger(peer, guest).await?;
                self.retrieve(&guest, body, knowledge_base, record).await
            }
            Wish::Unknown => Err(Refusal::UnknownOperation),
        }
    }

    /// What is found out about a caller. It takes no place of a stranger's if it is known at once, as whoever asked a moment ago is:
    /// so it is answered when strangers have taken all of those.
    async fn as_stranger<T>(
        &self,
        peer: IpAddr,
        finds_out: impl Future<Output = Result<T, Refusal>>,
    ) -> Result<T, Refusal> {
        let mut finds_out = pin!(finds_out);
        if let Poll::Ready(found) = futures::poll!(finds_out.as_mut()) {
            return found;
        }
        let place = self.strangers.take(&peer);
        let _place = place.ok_or_else(|| {
            tracing::debug!(%peer, "there is no place for another caller that is not known yet");
            Refusal::Strangers
        })?;
        finds_out.await
    }

    /// A token, for credentials that every SDK takes.
    async fn exchange(&self, body: Incoming, route: &Route, record: &mut Record) -> Result<Bytes, Refusal> {
        let exchange = Exchange::parse(&read(body, sts::MAX_BYTES, BODY_OF_A_STRANGER).await?)?;
        record.names(&exchange.tenant_id);
        let named = route::both(route.tenant.clone(), Some(exchange.tenant_id.clone()))?;
        let caller = self.door.identify(&exchange.token).await?;
        record.is_by(caller.subject.clone());
        let guest = self.door.admit(caller, named.as_deref()).await?;
        if let Ok(asked) = &guest.tenant.asked {
            record.is_for(asked);
        }
        let ends = Timestamp::try_from(guest.caller.ends).ok();
        let expires = exchange.expires(Timestamp::now(), ends);
        Ok(exchange.answer(expires, &guest.caller.name, &record.id).into())
    }

    /// Who asks a question, and for whom.
    async fn guest(&self, headers: &HeaderMap, route: &Route, record: &mut Record) -> Result<Guest, Refusal> {
        let token = route::token(headers)?;
        let named = route::tenant(route, headers)?;
        if let Some(named) = &named {
            record.names(named);
        }
        let caller = self.door.identify(token).await?;
        record.is_by(caller.subject.clone());
        self.door.admit(caller, named.as_deref()).await
    }

    /// A question, for passages of the tenant's own.
    async fn retrieve(
        &self,
        guest: &Guest,
        body: Incoming,
        knowledge_base: &str,
        record: &mut Record,
    ) -> Result<Bytes, Refusal> {
        record.names(&guest.tenant.tenant_id);
        let asked = self.door.asked(guest)?;
        record.is_for(&asked);
        let terms = guest.tenant.class.as_deref().and_then(|class| self.classes.get(class));
        record.class = terms.as_ref().map(|terms| terms.class.to_string());
        if !asked.is_called(knowledge_base) {
            return Err(Refusal::KnowledgeBase);
        }
        let place = self.questions.take(&guest.tenant.tenant_id);
        let _place = place.ok_or_else(|| Refusal::InFlight { allowed: self.questions.each() })?;
        let question = Question::parse(&read(body, wire::MAX_BYTES, BODY).await?)?.body_for(&asked)?;
        let mut way = Way::default();
        let answered = match terms {
            None => self.upstream.ask(&asked, &question, Turn::default(), &mut way).await,
            Some(terms) => self.ask_within(&terms, &asked, &question, &mut way, record).await,
        };
        (record.queued, record.retrieve, record.aws_request_ids) = (way.queued, way.aws, way.request_ids);
        self.checked(answered?, &asked, record)
    }

    /// Asks as the class of a tenant allows.
    async fn ask_within(
        &self,
        terms: &Terms,
        asked: &Arc<Asked>,
        question: &[u8],
        way: &mut Way,
        record: &mut Record,
    ) -> Result<Bytes, Refusal> {
        let entered = self.classes.enter(&asked.tenant_id, terms);
        let _under_way = match entered {
            Ok(under_way) => under_way,
            Err(beyond) if terms.is_shadow => {
                record.would_refuse = Some(beyond.limit.reason());
                None
            }
            Err(beyond) => return Err(Refusal::Limit(beyond)),
        };
        let answered = self.upstream.ask(asked, question, Turn::from(terms), way).await;
        let too_long = way.queued.zip(terms.max_wait).is_some_and(|(queued, most)| queued > most);
        if terms.is_shadow && too_long {
            record.would_refuse.get_or_insert("throttled");
        }
        answered
    }

    /// What of an answer is the tenant's.
    fn checked(&self, body: Bytes, asked: &Asked, record: &mut Record) -> Result<Bytes, Refusal> {
        let checked = answer::check(body, asked).map_err(|_| Refusal::AwsUnreadable)?;
        record.answered(&checked);
        if checked.foreign > 0 {
            self.metrics.foreign(asked.pattern, checked.foreign as u64);
            self.alarm.foreign(asked, checked.foreign);
        }
        if checked.unknown > 0 {
            self.metrics.members_dropped.inc_by(checked.unknown as u64);
        }
        Ok(checked.body)
    }

    fn note(&self, record: &mut Record, took: Duration) {
        let (_, code) = record.ended();
        self.metrics.answered(record.operation.as_str(), code.unwrap_or("OK"), took);
        record.total = Some(took);
        if record.operation == Operation::Retrieve {
            self.metrics.of_class(record);
        }
        let Here { installation, region, replica } = &self.here;
        self.log.line(|| {
            (record.installation, record.region, record.replica) =
                (installation.clone(), region.clone(), replica.clone());
            record.clone()
        });
    }
}

/// The whole body of a request, of so many bytes at most, and within so long.
async fn read(body: Incoming, most: usize, within: Duration) -> Result<Bytes, Refusal> {
    let whole = tokio::time::timeout(within, Limited::new(body, most).collect()).await;
    match whole {
        Ok(Ok(body)) => Ok(body.to_bytes()),
        Ok(Err(error)) if error.is::<http_body_util::LengthLimitError>() => {
            Err(Refusal::TooLarge { limit: most })
        }
        Ok(Err(_)) => Err(Refusal::invalid("", "The body broke off")),
        Err(_) => Err(Refusal::invalid("", "The body took too long")),
    }
}

/// Of the form that AWS's ids have.
fn request_id() -> String {
    let mut id = HEXLOWER.encode(&fastrand::u128(..).to_be_bytes());
    for at in [20, 16, 12, 8] {
        id.insert(at, '-');
    }
    id
}

fn reply(wish: &Wish, status: StatusCode, body: Bytes, id: &str) -> Reply {
    let kind = match wish {
        Wish::Exchange => "text/xml",
        Wish::Retrieve(_) | Wish::Unknown => "application/json",
    };
    let mut reply = Response::new(Full::new(body));
    *reply.status_mut() = status;
    reply.headers_mut().insert(header::CONTENT_TYPE, HeaderValue::from_static(kind));
    if let Ok(id) = HeaderValue::from_str(id) {
        reply.headers_mut().insert("x-amzn-requestid", id);
    }
    reply
}

fn refused(wish: &Wish, refusal: &Refusal, id: &str) -> Reply {
    let (status, body) = match wish {
        Wish::Exchange => (refusal.row().sts_status, refusal.xml(id)),
        Wish::Retrieve(_) | Wish::Unknown => (refusal.status(), refusal.json()),
    };
    let status = StatusCode::from_u16(status).unwrap_or(StatusCode::INTERNAL_SERVER_ERROR);
    let mut reply = reply(wish, status, body.into(), id);
    if let Ok(code) = HeaderValue::from_str(refusal.code())
        && !matches!(wish, Wish::Exchange)
    {
        reply.headers_mut().insert("x-amzn-errortype", code);
    }
    if let Some(seconds) = refusal.retry_after() {
        reply.headers_mut().insert(header::RETRY_AFTER, seconds.into());
    }
    reply
}

#[cfg(test)]
mod tests;
