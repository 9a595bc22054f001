//! Words that say what happened, without a code or beside one.

use std::ops::Range;

use super::anchors::{How, Phrase};
use super::{Firmness, Frame, MESSAGE_NEAR, NAME_NEAR, Scanner};
use crate::problem::{Kind, Reason};
use crate::squeeze::{Gap, Squeezed};

impl Scanner<'_> {
    pub(super) fn phrase(&mut self, phrase: &'static Phrase, range: Range<usize>) {
        let counts = match phrase.how {
            How::Titled => self.is_titled(range.start),
            How::Near => self.is_near_aws(&range),
            How::Plain | How::Soft | How::Vague | How::Override => true,
        };
        if !counts {
            return;
        }
        let meaning = Some((phrase.kind, phrase.reason));
        // The same words behind an empty line are another error's; and of clocks any, which no title tells of.
        let again = |said: &Range<usize>| {
            let is_clock = phrase.reason == Some(Reason::ClockSkew);
            (is_clock || self.text.behind(said.start, phrase.words).is_some())
                && self.text.is_apart(said.end, range.start)
        };
        let said_same = |frame: &Frame| {
            phrase.how != How::Titled
                && !again(&(frame.start..frame.message_at))
                && (phrase.how != How::Override || self.is_open_to(frame, range.start))
                && !frame.speaks()
                && !frame.firmness.is_soft()
                && frame.meaning == meaning
                && range.start <= frame.message_at + NAME_NEAR * 2
        };
        if self.pending.as_ref().is_some_and(said_same) {
            return;
        }
        let text = self.text;
        let is_next = |frame: &Frame| {
            let between = frame.message_at..range.start + 1;
            has_told(frame, phrase) && between.clone().any(|index| text.gap(index) >= Gap::Break)
                || phrase.how == How::Override
                    && frame.code.is_some()
                    && !frame.keyed
                    && begins_object(text, between.clone())
                || frame.firmness == Firmness::Vague
                    && !matches!(phrase.kind, Kind::Authentication | Kind::Network)
                    && text.is_apart(frame.message_at, range.start)
        };
        if let Some(frame) = self.open(range.start, NAME_NEAR * 2).filter(|frame| !is_next(frame)) {
            if says_more(frame, phrase) {
                frame.meaning = meaning;
                frame.firmness = firmness(phrase.how);
                frame.weak = false;
                frame.message_at = frame.message_at.max(range.end);
                return;
            }
            if frame.speaks() || frame.firmness.is_soft() || frame.meaning().0 == phrase.kind {
                return;
            }
        }
        if phrase.how == How::Override {
            self.said = Some((range, (phrase.kind, phrase.reason)));
            return;
        }
        let told = self
            .found
            .last()
            .filter(|found| !again(&found.range))
            .is_some_and(|found| found.problem.kind == phrase.kind && range.start < found.range.end + MESSAGE_NEAR);
        if told && self.pending.is_none() {
            return;
        }
        self.flush();
        self.consumed = self.consumed.max(range.end);
        self.pending = Some(Frame { meaning, firmness: firmness(phrase.how), ..Frame::at(range) });
    }

    /// Gives an error the words that stood directly before it.
    pub(super) fn take_said(&mut self, frame: &mut Frame) {
        let Some((range, meaning)) = self.said.take_if(|(range, _)| range.end <= frame.start) else { return };
        let near = frame.start <= range.end + MESSAGE_NEAR && !self.text.is_apart(range.end, frame.start);
        if frame.message.is_none() && frame.meaning.is_none() && near {
            frame.meaning = Some(meaning);
        }
    }

    /// Whether `Error:` stands directly before.
    pub(super) fn is_titled(&self, at: usize) -> bool {
        at >= 6 && self.text.behind(at - 6, "error:") == Some(at)
    }

    /// Whether AWS or Terraform is named near by.
    fn is_near_aws(&self, range: &Range<usize>) -> bool {
        const NAMES: &[&str] = &[
            "amazonaws.com",
            ".api.aws",
            "send request failed",
            "request send failed",
            "operation error",
            "registry.terraform.io",
            "registry.opentofu.org",
            "remote state",
            "state lock",
            "backend",
        ];
        let around =
            range.start.saturating_sub(NAME_NEAR).max(self.consumed.saturating_sub(NAME_NEAR))..range.end + NAME_NEAR;
        NAMES.iter().any(|name| self.text.find(around.clone(), name).is_some())
    }
}

/// Whether an object begins a line there.
fn begins_object(text: &Squeezed<'_>, mut range: Range<usize>) -> bool {
    range.any(|index| text.byte(index) == b'{' && text.gap(index) >= Gap::Break)
}

fn firmness(how: How) -> Firmness {
    match how {
        How::Soft => Firmness::Soft,
        How::Vague => Firmness::Vague,
        How::Plain | How::Near | How::Override | How::Titled => Firmness::Firm,
    }
}

/// Whether an error has told everything, so that words on another line are the next one's.
fn has_told(frame: &Frame, phrase: &Phrase) -> bool {
    match phrase.how {
        How::Override => frame.message.is_some() || frame.meaning.is_some() && !frame.firmness.is_soft(),
        How::Plain | How::Titled => frame.message.is_some(),
        How::Soft | How::Vague | How::Near => false,
    }
}

/// Whether words say more than what is known of an error.
fn says_more(frame: &Frame, phrase: &Phrase) -> bool {
    let (kind, _) = frame.meaning();
    if frame.message.is_some() {
        return false;
    }
    let both_network = kind == Kind::Network && phrase.kind == Kind::Network;
    match phrase.how {
        How::Override => true,
        // A name that is not found comes behind the dialling, which says less.
        _ if both_network => true,
        _ if !frame.speaks() => {
            (frame.meaning.is_none() || frame.firmness.is_soft())
                && (phrase.kind != Kind::Network || !frame.firmness.is_soft())
        }
        How::Plain => frame.meaning.is_none() && kind == phrase.kind,
        How::Soft | How::Vague | How::Near | How::Titled => false,
    }
}
