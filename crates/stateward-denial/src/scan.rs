//! From squeezed text to problems: structure first (codes, messages), the words around them last.

mod anchors;
mod code;
mod details;
mod envelope;
mod frame;
mod lock;
mod phrases;

use std::ops::Range;

use anchors::{ANCHORS, Anchor, How, Own, TABLE_KEY};
use lock::Block;

pub(crate) use frame::{Firmness, Frame};

use crate::message::{self, Message};
use crate::problem::{Effect, Kind, Layer, LockInfo, Problem, Reason};
use crate::services;
use crate::squeeze::{Gap, Squeezed};

/// A problem, and where in the squeezed text it stands.
#[derive(Debug)]
pub(crate) struct Found {
    pub(crate) problem: Problem,
    pub(crate) range: Range<usize>,
    /// Whether its message ends by being cut off.
    cut: bool,
}

/// What a scan finds, and how far it went.
#[derive(Debug, Default)]
pub(crate) struct Scan {
    pub(crate) found: Vec<Found>,
    /// Everything before this place has been read.
    pub(crate) end: usize,
}

/// A message stands so near behind its envelope, or it is another's.
const MESSAGE_NEAR: usize = 200;
/// What stands so near behind an envelope is its message.
const DIRECTLY: usize = 2;
/// A suffix stands so near behind what it belongs to.
const SUFFIX_NEAR: usize = 1500;
/// In a dump of an error, its fields may stand so far behind its message: a stack trace is between them.
const DUMP_NEAR: usize = 4000;
/// A name in the neighbourhood is so near.
const NAME_NEAR: usize = 250;

/// Finds what begins between two places; what begins before the end is read to its own end.
pub(crate) fn scan(text: &Squeezed<'_>, from: usize, until: usize) -> Scan {
    let Some(anchors) = ANCHORS.as_ref() else { return Scan::default() };
    let mut scanner =
        Scanner { text, found: Vec::new(), pending: None, consumed: from, lock: None, said: None, next: from };
    for hit in anchors.words.find_iter(text.bytes().get(from..).unwrap_or_default()) {
        let range = hit.start() + from..hit.end() + from;
        if range.start < scanner.consumed {
            continue;
        }
        if range.start >= until && !scanner.is_open(range.start) {
            break;
        }
        if let Some(anchor) = anchors.meanings.get(hit.pattern().as_usize()) {
            scanner.next = range.start;
            scanner.meet(*anchor, range);
        }
    }
    scanner.next = text.len();
    scanner.flush();
    scanner.close_lock();
    let end = scanner.consumed.max(until.min(text.len()));
    Scan { found: scanner.found, end }
}

/// Reads one message by itself, as a field of a record has it: it ends where its text does.
pub(crate) fn message(text: &str) -> Option<Message> {
    let mut squeezed = Squeezed::new(text, &[]);
    squeezed.close();
    let whole = 0..squeezed.len();
    if let Some(verb) = squeezed.find(whole.clone(), message::VERB)
        && let Some(message) = message::read(&squeezed, verb.start, 0)
    {
        return Some(message);
    }
    let own = [
        ("public policies are prevented by the BlockPublicPolicy", Own::PublicPolicy),
        ("public policies are blocked by the BlockPublicPolicy", Own::PublicPolicy),
        ("public ACLs are prevented by the BlockPublicAcls", Own::PublicAcl),
        ("public ACLs are blocked by the BlockPublicAcls", Own::PublicAcl),
        ("refers to a customer master key that does not exist", Own::Key),
        (TABLE_KEY, Own::TableKey),
        ("Access to KMS is not allowed", Own::Key),
        ("Access to the resource http", Own::Queue),
    ];
    if let Some(message) =
        own.iter().find_map(|(words, own)| own_words(&squeezed, *own, squeezed.find(whole.clone(), words)?))
    {
        return Some(message);
    }
    let tail = squeezed.find(whole.clone(), "explicit deny in").or_else(|| squeezed.find(whole, "because no"))?;
    message::read_tail(&squeezed, tail.start, 0).filter(|message| message.denial.layer != Layer::Unknown)
}

/// What a message without a refusal's grammar says in known words, which say more than a code.
pub(crate) fn words(text: &str) -> Option<(Kind, Option<Reason>)> {
    let anchors = ANCHORS.as_ref()?;
    let squeezed = Squeezed::new(text, &[]);
    anchors.words.find_iter(squeezed.bytes()).find_map(|hit| match anchors.meanings.get(hit.pattern().as_usize())? {
        Anchor::Phrase(phrase) if matches!(phrase.how, How::Override) => Some((phrase.kind, phrase.reason)),
        _ => None,
    })
}

/// A kind of problem, and closer.
type Meaning = (Kind, Option<Reason>);

struct Scanner<'t> {
    text: &'t Squeezed<'t>,
    found: Vec<Found>,
    /// An error whose end has not come yet.
    pending: Option<Frame>,
    /// What has been read into an error already.
    consumed: usize,
    /// Terraform is telling why it could not take the lock.
    lock: Option<Block>,
    /// Words that say more than a code, which may come behind them.
    said: Option<(Range<usize>, Meaning)>,
    /// Where the anchor in hand stands: the end of what belongs to the error before.
    next: usize,
}

impl Scanner<'_> {
    /// Whether something that was begun can go on there.
    fn is_open(&self, at: usize) -> bool {
        self.pending.as_ref().is_some_and(|frame| at < frame.message_at + DUMP_NEAR)
            || self.found.last().is_some_and(|found| at < found.range.end + SUFFIX_NEAR)
            || self.lock.as_ref().is_some_and(|lock| at < lock.start + lock::BLOCK_MAX)
    }

    fn meet(&mut self, anchor: Anchor, range: Range<usize>) {
        match anchor {
            Anchor::Client => {
                if let Some(frame) = envelope::client(self.text, range) {
                    self.begin(frame);
                }
            }
            Anchor::Operation => self.operation(range),
            Anchor::Executing => {
                if let Some(frame) = envelope::executing(self.text, range) {
                    self.begin(frame);
                }
            }
            Anchor::Resource => {
                if let Some(frame) = envelope::resource(self.text, range) {
                    self.begin(frame);
                }
            }
            Anchor::Parenthesis => self.parenthesis(range),
            Anchor::Status => self.status(&range),
            Anchor::Request => self.request(&range),
            Anchor::Xml => {
                if let Some(frame) = envelope::xml(self.text, range) {
                    self.begin(frame);
                }
            }
            Anchor::Type => self.type_key(&range),
            Anchor::Code(code) => self.code(code.name, &range, false),
            Anchor::Word(code) => self.code(code.name, &range, true),
            Anchor::Verb => {
                if let Some(message) = message::read(self.text, range.start, self.floor()) {
                    self.message(message);
                }
            }
            Anchor::User => self.user(range.start),
            Anchor::Tail => self.tail(range.start),
            Anchor::Own(Own::TableKey) if introduces(self.text, range.end) => self.table_key(range),
            Anchor::Own(own) => {
                if let Some(message) = own_words(self.text, own, range) {
                    self.message(message);
                }
            }
            Anchor::Encoded => self.encoded(range.start),
            Anchor::Lock => self.begin_lock(range.start),
            Anchor::LockEnd => self.close_lock(),
            Anchor::LockInfo => self.lock_info(range),
            Anchor::Held => self.held(range),
            Anchor::Empty => {
                if let Some(lock) = self.lock.as_mut().filter(|lock| lock.tells_of(range.start)) {
                    lock.gone = true;
                }
            }
            Anchor::Digest => self.digest(range),
            Anchor::Unsaved => self.unsaved(),
            Anchor::Phrase(phrase) => self.phrase(phrase, range),
        }
    }

    /// No message begins before: it is read already, or belongs to the envelope before it.
    fn floor(&self) -> usize {
        self.pending.as_ref().map_or(self.consumed, |frame| frame.message_at.max(self.consumed))
    }

    /// An envelope begins. One that only led to it, or said the same before, is dropped.
    fn begin(&mut self, mut frame: Frame) {
        if let Some(pending) = self.pending.take() {
            let near = frame.start <= pending.message_at + NAME_NEAR * 2;
            // The name of an exception and then the envelope in its text, or an exception whose text begins with its name.
            let names = pending.code.is_some()
                && pending.message.is_none()
                && frame.start <= pending.message_at + 1
                && !self.text.is_apart(pending.message_at, frame.start)
                && self.text.gap(frame.start) < Gap::Break;
            let near = near && self.is_open_to(&pending, frame.start) && self.may_explain(&pending, &frame);
            let led_here = near
                && pending.message.is_none()
                && pending.code.is_none()
                && (pending.firmness.is_soft() || pending.meaning.is_none());
            let said_same = pending.code.is_some()
                && pending.message.is_none()
                && pending.code == frame.code
                && frame.start <= pending.message_at + MESSAGE_NEAR
                && near
                && self.is_retold(&pending, frame.start);
            // What it came to, and then the code that says the same.
            let explains = !pending.speaks()
                && pending.operation.is_none()
                && pending.meaning == Some(frame.meaning())
                && frame.start <= pending.message_at + NAME_NEAR * 2;
            if led_here || said_same || names || explains {
                frame.code = frame.code.or(pending.code);
                frame.operation = frame.operation.or(pending.operation);
                frame.request_id = frame.request_id.or(pending.request_id);
                frame.start = pending.start;
                frame.service = frame.service.or(pending.service);
                frame.weak &= pending.weak;
            } else {
                self.pending = Some(pending);
                self.flush();
            }
        }
        self.consumed = self.consumed.max(frame.message_at);
        self.pending = Some(frame);
    }

    /// "The error shown above has prevented Terraform from writing the updated state to the configured backend."
    fn unsaved(&mut self) {
        self.flush();
        if let Some(found) = self.found.last_mut() {
            found.problem.unsaved = true;
        }
    }

    /// The error in hand is complete.
    fn flush(&mut self) {
        let Some(mut frame) = self.pending.take() else { return };
        self.take_said(&mut frame);
        if !frame.is_problem() {
            return;
        }
        let (kind, reason) = frame.meaning();
        if kind == Kind::Conflict
            && reason == Some(Reason::ConditionFailed)
            && let Some(lock) = self.lock.as_mut().filter(|lock| lock.tells_of(frame.start))
        {
            lock.held = true;
            return;
        }
        let end = frame.message.as_ref().map_or(frame.message_at, |message| message.end);
        frame.service = frame.service.take().or_else(|| details::storage(self.text, &frame, self.next));
        details::fill(self.text, &mut frame, self.next);
        frame.prefix = details::listed(self.text, &frame);
        let range = frame.start..end;
        let cut = frame.message.as_ref().is_some_and(|message| message.cut);
        self.push(frame.into_problem(false), range, cut);
    }

    fn push(&mut self, mut problem: Problem, range: Range<usize>, cut: bool) {
        if let Some(lock) = self.lock.as_mut() {
            lock.other = true;
            let titles = |at: usize| self.text.gap(at) >= Gap::Break && self.text.behind(at, "Error:").is_some();
            problem.locking = range.start < lock.start + lock::BLOCK_MAX && !(lock.start + 1..range.start).any(titles);
        }
        // What was cut off may be told in full next.
        if let Some(last) =
            self.found.last_mut().filter(|last| last.cut && range.start < last.range.end + MESSAGE_NEAR * 2)
            && let (Some(part), Some(whole)) = (&last.problem.denial, &problem.denial)
            && part.error_code == whole.error_code
            && (part.principal.arn.is_none() || part.principal.arn == whole.principal.arn)
            && (part.action.is_none() || part.action == whole.action)
        {
            *last = Found { problem, range: last.range.start..range.end, cut };
            return;
        }
        self.found.push(Found { problem, range, cut });
    }

    /// Whether an error goes on to a place: not across an empty line, unless nothing was told yet, or only that there is an error.
    fn is_open_to(&self, frame: &Frame, at: usize) -> bool {
        let told = frame.speaks() || frame.status.is_some() || frame.meaning.is_some() || frame.operation.is_some();
        !told || !self.text.is_apart(frame.message_at, at) || (frame.firmness == Firmness::Vague) && self.is_titled(at)
    }

    /// Whether the next error can be why the one in hand, an empty line before it, had no credentials.
    fn may_explain(&self, pending: &Frame, frame: &Frame) -> bool {
        const CREDENTIALS: &[&str] =
            &["AssumeRole", "GetRoleCredentials", "GetCallerIdentity", "GetSessionToken", "GetMetadata"];
        let told = frame.operation.as_deref();
        let gives = told.is_none_or(|told| CREDENTIALS.iter().any(|operation| told.starts_with(operation)));
        gives || pending.firmness != Firmness::Vague || !self.text.is_apart(pending.message_at, frame.start)
    }

    /// The error in hand, if what stands at a place so far behind it can belong to it.
    fn open(&mut self, at: usize, near: usize) -> Option<&mut Frame> {
        let open =
            self.pending.as_ref().is_some_and(|frame| at <= frame.message_at + near && self.is_open_to(frame, at));
        self.pending.as_mut().filter(|_| open)
    }

    /// Whether what begins at a place belongs to a dump of the same error, or to the same line, and is not the next error.
    fn is_retold(&self, frame: &Frame, at: usize) -> bool {
        let between = frame.message_at..at;
        let is_next = |index: usize| self.text.gap(index) >= Gap::Break && !frame.keyed;
        !between.clone().chain([at]).any(is_next) && !self.is_next_record(between.clone())
            || self.text.find(between, "(truncated").is_some()
    }

    /// Whether a range ends inside another line of a log than it begins, and not where a dump has one of its fields. Of a log is a line
    /// that no terminal is wide enough for.
    fn is_inside_next_line(&self, range: Range<usize>, key_max: usize) -> bool {
        const TERMINAL_MAX: usize = 250;
        let (start, end) = (range.start, range.end);
        let line = (start..=end).rev().find(|index| self.text.gap(*index) >= Gap::Break);
        line.is_some_and(|line| end - line > key_max && self.text.width_before(line) > TERMINAL_MAX)
    }

    /// Whether an object begins a line in a range, behind what stood in none.
    fn is_next_object(&self, range: Range<usize>) -> bool {
        let in_object = self.pending.as_ref().is_some_and(|frame| frame.keyed);
        let begins = |index: usize| self.text.byte(index) == b'{' && self.text.gap(index) == Gap::Break;
        !in_object && range.into_iter().any(begins)
    }

    /// Whether one object ends and the next one begins in a range.
    fn is_next_record(&self, range: Range<usize>) -> bool {
        range.clone().any(|index| {
            self.text.byte(index) == b'{'
                && index > range.start
                && (self.text.byte(index - 1) == b'}' || self.text.behind(index.saturating_sub(2), "},").is_some())
        })
    }

    /// Whether a message is what the error in hand has said already, in another of its fields.
    fn repeats(&self, message: &Message) -> bool {
        const KEY_MAX: usize = 24;
        let Some(frame) = &self.pending else { return false };
        let Some(said) = &frame.message else { return false };
        let before = message.start.saturating_sub(20)..message.start;
        frame.code.is_some()
            && message.start <= said.end + DUMP_NEAR
            && self.is_open_to(frame, message.start)
            && said.denial == message.denial
            && self.text.find(before, "message").is_some()
            && !self.is_next_record(said.end..message.start)
            && !self.is_inside_next_line(said.end..message.start, KEY_MAX)
    }

    /// A message: of the envelope before it, or without one.
    fn message(&mut self, message: Message) {
        if self.repeats(&message) {
            self.consumed = self.consumed.max(message.end);
            return;
        }
        let near = |frame: &Frame| {
            frame.message.is_none()
                && message.start <= frame.message_at + MESSAGE_NEAR
                && self.is_open_to(frame, message.start)
                && (frame.code.is_some() || !frame.firmness.is_soft())
                && frame.can_refuse()
                && !self.begins_next(frame, message.start)
        };
        if !self.pending.as_ref().is_some_and(near) {
            self.flush();
            self.pending = Some(Frame::at(message.start..message.start));
        }
        self.consumed = self.consumed.max(message.end);
        if let Some(frame) = &mut self.pending {
            frame.message_at = frame.message_at.max(message.end);
            frame.message = Some(message);
            frame.meaning = None;
        }
    }

    /// Whether a message on another line is the next error's: it has a title, or the one in hand has told its own message.
    fn begins_next(&self, frame: &Frame, at: usize) -> bool {
        let is_line = |index: usize| self.text.gap(index) >= Gap::Break;
        let title = self.is_titled(at).then(|| at - "error:".len());
        let told = || {
            let told = ["Access Denied", "Forbidden"].iter().find_map(|own| self.text.find(frame.message_at..at, own));
            told.is_some_and(|told| (told.end..=at).any(is_line))
        };
        frame.code.is_some() && (title.is_some_and(is_line) || told())
    }

    /// `DynamoDB` tells what KMS has said: that is the message, and the answer its own.
    fn table_key(&mut self, range: Range<usize>) {
        let is_its_message = |frame: &mut Frame| frame.message.is_none() && frame.can_refuse();
        if !self.open(range.start, DIRECTLY).is_some_and(is_its_message) {
            self.flush();
            self.pending = Some(Frame::at(range.clone()));
        }
        if let Some(frame) = &mut self.pending {
            frame.of_table_key = true;
            frame.service = Some("dynamodb".to_owned());
            frame.message_at = frame.message_at.max(range.end);
        }
        self.consumed = self.consumed.max(range.end);
    }

    fn user(&mut self, at: usize) {
        const AHEAD: usize = 800;
        let ahead = at + 1..at + AHEAD;
        let verb = self.text.find(ahead.clone(), message::VERB).map(|found| found.start);
        let next = self.text.find(ahead, "user:").map(|found| found.start);
        if verb.is_some_and(|verb| next.is_none_or(|next| verb < next)) {
            return;
        }
        if let Some(message) = message::read_head(self.text, at) {
            self.message(message);
        }
    }

    fn tail(&mut self, at: usize) {
        let near = self.pending.as_ref().is_some_and(|frame| {
            frame.message.is_none()
                && at <= frame.message_at + MESSAGE_NEAR
                && frame.can_refuse()
                && self.is_open_to(frame, at)
        });
        let Some(message) = message::read_tail(self.text, at, self.floor()) else { return };
        let denial = &message.denial;
        // Whoever explains these words uses them too, of other things than AWS's.
        let is_named = denial.resource.as_deref().is_some_and(|name| name == "*" || name.starts_with("arn:"));
        if denial.layer != Layer::Unknown && (near || denial.action.is_some() || is_named) {
            self.message(message);
        }
    }

    fn encoded(&mut self, at: usize) {
        let Some((encoded, end)) = message::read_encoded(self.text, at) else { return };
        if let Some(frame) = self.open(at, MESSAGE_NEAR) {
            frame.encoded = Some(encoded);
            frame.message_at = end;
        } else {
            self.flush();
            self.pending = Some(Frame { encoded: Some(encoded), ..Frame::at(at..end) });
        }
        self.consumed = self.consumed.max(end);
    }

    fn begin_lock(&mut self, at: usize) {
        // The title and the text of one diagnostic.
        if self.lock.as_ref().is_some_and(|lock| lock.is_fresh() && at < lock.start + MESSAGE_NEAR * 2)
            && self.pending.is_none()
        {
            return;
        }
        self.flush();
        self.close_lock();
        self.lock = Some(Block::new(at));
    }

    fn close_lock(&mut self) {
        if self.lock.is_some() {
            self.flush();
        }
        let Some(block) = self.lock.take() else { return };
        let start = block.place();
        if let Some(problem) = block.into_problem() {
            self.push(problem, start..start, false);
        }
    }

    fn lock_info(&mut self, range: Range<usize>) {
        let (info, end) = lock::read_info(self.text, range.end);
        self.consumed = self.consumed.max(end);
        // Terraform prints the block empty where it could not find out who holds the lock.
        if info.id.is_none() && info.who.is_none() {
            return;
        }
        if self.lock.as_ref().is_none_or(|lock| range.start > lock.start + lock::BLOCK_MAX) {
            self.flush();
            self.close_lock();
            self.lock = Some(Block::new(range.start));
        }
        if let Some(lock) = &mut self.lock {
            lock.info = Some(info);
            lock.info_at = range.start;
        }
        self.close_lock();
    }

    fn held(&mut self, range: Range<usize>) {
        if let Some(lock) = self.lock.as_mut().filter(|lock| lock.tells_of(range.start)) {
            lock.held = true;
        } else if self.text.find_last(range.start.saturating_sub(30)..range.start, "state").is_some() {
            self.flush();
            let mut block = Block::new(range.start);
            block.held = true;
            block.info = self.text.behind(range.end, ": ID=").and_then(|id| {
                let id = self.token(id)?;
                Some(LockInfo { id: Some(id), ..LockInfo::default() })
            });
            self.lock = Some(block);
            self.consumed = range.end;
        }
    }

    fn digest(&mut self, range: Range<usize>) {
        self.flush();
        let (digest, end) = lock::read_digest(self.text, range.end);
        let problem = Problem { digest: Some(digest), ..Problem::new(Kind::DigestMismatch) };
        self.consumed = self.consumed.max(end);
        self.push(problem, range.start..end, false);
    }

    /// A word up to the next gap or punctuation.
    fn token(&self, from: usize) -> Option<String> {
        let part = |index: usize| {
            self.text.byte(index).is_ascii_alphanumeric() || matches!(self.text.byte(index), b'-' | b'_' | b'*')
        };
        let end_from = |from: usize| {
            let ends = |index: &usize| !part(*index) || *index > from && self.text.gap(*index) != Gap::None;
            (from..self.text.len()).find(ends).unwrap_or(self.text.len())
        };
        let end = end_from(from);
        let word = (end > from).then(|| self.text.word(from..end))?;
        // A terminal may have broken it: then the two parts make an ID, or the line is full.
        if part(end) && self.text.gap(end) == Gap::Break && !is_id(&word) {
            let whole = self.text.word(from..end_from(end));
            if is_id(&whole) {
                return Some(whole);
            }
        }
        Some(word)
    }
}

/// Whether a word is as long as the IDs of AWS's requests are, and made as they are.
fn is_id(word: &str) -> bool {
    let all = |part: fn(&u8) -> bool| word.as_bytes().iter().all(part);
    match word.len() {
        16 | 52 => all(|byte| byte.is_ascii_uppercase() || byte.is_ascii_digit()),
        36 => all(|byte| byte.is_ascii_hexdigit() || *byte == b'-') && word.split('-').count() == 5,
        _ => false,
    }
}

/// Whether what KMS has said follows: `error: CLASS: …`; or may, where the text ends within these words.
fn introduces(text: &Squeezed<'_>, at: usize) -> bool {
    const NEXT: &str = "error:";
    let left = text.len().saturating_sub(at);
    let may_come = || left < NEXT.len() && !text.ends_line() && text.behind(at, &NEXT[..left]).is_some();
    text.gap(at) < Gap::Written && text.behind(at, NEXT).is_some() || may_come()
}

/// A refusal that does not follow the grammar.
fn own_words(text: &Squeezed<'_>, own: Own, range: Range<usize>) -> Option<Message> {
    const ADDRESS_MAX: usize = 300;
    let mut message = Message { start: range.start, end: range.end, ..Message::default() };
    let denial = &mut message.denial;
    match own {
        Own::PublicPolicy | Own::PublicAcl => {
            denial.layer = Layer::S3BlockPublicAccess;
            denial.effect = Effect::Explicit;
            denial.service = Some("s3".to_owned());
            let setting = if matches!(own, Own::PublicPolicy) { "BlockPublicPolicy" } else { "BlockPublicAcls" };
            denial.setting = Some(setting.to_owned());
        }
        Own::Key => {
            denial.layer = Layer::Kms;
            denial.service = Some("kms".to_owned());
        }
        Own::TableKey if introduces(text, range.end) => return None,
        Own::TableKey => {
            denial.layer = Layer::Kms;
            denial.service = Some("dynamodb".to_owned());
        }
        Own::Queue => {
            let from = range.end - "http".len();
            let end = text.find(from..from + ADDRESS_MAX, "is denied")?;
            let address = text.word(from..end.start);
            denial.service = services::of_address(&address);
            denial.resource = Some(address);
            message.end = end.end;
        }
    }
    Some(message)
}
