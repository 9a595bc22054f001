//! A state in memory: what it is made of, and where each part stands in its bytes.

mod sibling;

use std::collections::HashSet;
use std::ops::Range;

pub(crate) use sibling::{Indexed, Sibling};

use crate::address::{self, IndexKey, ResourceName};
use crate::error::ScanError;
use crate::json::Lexer;
use crate::walk::{InstanceName, Observer, Top, Walker};

/// How a body is laid out.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Style {
    /// On one line, as `OpenTofu` writes it.
    Compact,
    /// One value a line, indented by two spaces, as Terraform writes it.
    Indented,
}

/// A member of an object. Ranges are in bytes of the body.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Field {
    /// The key.
    pub name: String,
    /// Where the key stands, with its quotes.
    pub key: Range<usize>,
    /// Where the value stands.
    pub value: Range<usize>,
}

/// An instance of a resource, or a deposed object of one.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Instance {
    /// Its address in Terraform's syntax.
    pub address: String,
    /// `index_key`.
    pub key: Option<IndexKey>,
    /// `deposed`.
    pub deposed: Option<String>,
    /// Where its JSON object stands in the body.
    pub span: Range<usize>,
}

/// A block of `resources`.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Resource {
    /// What its address is made of.
    pub name: ResourceName,
    /// Where its JSON object stands in the body.
    pub span: Range<usize>,
    /// All its fields in order, `instances` among them.
    pub fields: Vec<Field>,
    /// The elements of `instances`, in order.
    pub instances: Vec<Instance>,
}

impl Resource {
    /// A field of the block.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }
}

/// A state that is in memory, with its parts in the order they stand. All ranges are in bytes of the body.
#[derive(Debug, Clone)]
pub struct Document<'a> {
    body: &'a [u8],
    top: TopFields,
    /// All top-level fields.
    pub fields: Vec<Field>,
    /// The root outputs: names, and their JSON objects as values.
    pub outputs: Vec<Field>,
    /// The blocks of `resources`.
    pub resources: Vec<Resource>,
}

#[derive(Debug, Clone)]
struct TopFields {
    opaque: bool,
    serial: u64,
    lineage: String,
    terraform_version: Option<String>,
}

impl<'a> Document<'a> {
    /// Reads a body, as strictly as the [`Scanner`](crate::Scanner).
    pub fn parse(body: &'a [u8]) -> Result<Self, ScanError> {
        let document = Self::parse_parts(body)?;
        document.check_addresses()?;
        Ok(document)
    }

    /// As [`Document::parse`], but an address may stand twice: for [`Indexed::new`], which finds that on its way.
    pub(crate) fn parse_parts(body: &'a [u8]) -> Result<Self, ScanError> {
        let (top, parts) = read(body, Parts::default())?;
        Ok(parts.document(body, top))
    }

    fn check_addresses(&self) -> Result<(), ScanError> {
        let outputs: Vec<String> = self.outputs.iter().map(|output| address::output(&output.name)).collect();
        let instances = self.instances().map(|instance| &instance.address);
        let mut seen = HashSet::with_capacity(outputs.len() + self.resources.len());
        match outputs.iter().chain(instances).find(|address| !seen.insert(*address)) {
            Some(address) => Err(ScanError::DuplicateInstance { address: address.clone() }),
            None => Ok(()),
        }
    }

    /// The whole body.
    pub fn body(&self) -> &'a [u8] {
        self.body
    }

    /// The bytes of a part.
    pub fn raw(&self, span: &Range<usize>) -> &'a [u8] {
        self.body.get(span.clone()).unwrap_or_default()
    }

    /// A top-level field.
    pub fn field(&self, name: &str) -> Option<&Field> {
        self.fields.iter().find(|field| field.name == name)
    }

    /// All instances, in the order they stand.
    pub fn instances(&self) -> impl Iterator<Item = &Instance> {
        self.resources.iter().flat_map(|resource| &resource.instances)
    }

    /// Whether `OpenTofu` encrypted the body.
    pub fn opaque(&self) -> bool {
        self.top.opaque
    }

    /// `serial`.
    pub fn serial(&self) -> u64 {
        self.top.serial
    }

    /// `lineage`.
    pub fn lineage(&self) -> &str {
        &self.top.lineage
    }

    /// `terraform_version`.
    pub fn terraform_version(&self) -> Option<&str> {
        self.top.terraform_version.as_deref()
    }

    /// The layout, judged by what follows the first brace.
    pub fn style(&self) -> Style {
        let mut bytes = self.body.iter().skip_while(|byte| **byte != b'{').skip(1);
        match bytes.find(|byte| !matches!(byte, b' ' | b'\t' | b'\r')) {
            Some(b'\n') => Style::Indented,
            _ => Style::Compact,
        }
    }
}

/// Reads a whole body.
fn read<O: Observer>(body: &[u8], observer: O) -> Result<(TopFields, O), ScanError> {
    let mut lexer = Lexer::new();
    let mut walker = Walker::new(observer);
    lexer.feed(body, &mut walker)?;
    lexer.finish(&mut walker)?;
    let Walker { top, observer, .. } = walker;
    let opaque = top.check()?;
    let Top { serial, lineage, terraform_version, .. } = top;
    let top = TopFields {
        opaque,
        serial: serial.ok_or(ScanError::MissingSerial)?.0,
        lineage: lineage.ok_or(ScanError::MissingLineage)?.0,
        terraform_version: terraform_version.and_then(|(version, _)| version),
    };
    Ok((top, observer))
}

/// Collects the parts.
#[derive(Debug, Default)]
struct Parts {
    fields: Vec<Field>,
    outputs: Vec<Field>,
    resources: Vec<Resource>,
    /// Those of the current resource.
    resource_fields: Vec<Field>,
    spans: Vec<Range<usize>>,
}

impl Parts {
    fn document(self, body: &[u8], top: TopFields) -> Document<'_> {
        Document { body, top, fields: self.fields, outputs: self.outputs, resources: self.resources }
    }
}

/// A range of the body as one of memory; the body is in memory, so nothing is lost.
fn local(span: &Range<u64>) -> Range<usize> {
    let index = |offset: u64| usize::try_from(offset).unwrap_or(usize::MAX);
    index(span.start)..index(span.end)
}

fn field(name: &str, key: &Range<u64>, value: &Range<u64>) -> Field {
    Field { name: name.to_owned(), key: local(key), value: local(value) }
}

impl Observer for Parts {
    const FIELDS: bool = true;
    const CANON: bool = false;

    fn field(&mut self, name: &str, key: Range<u64>, value: Range<u64>) {
        self.fields.push(field(name, &key, &value));
    }

    fn output(&mut self, name: &str, key: Range<u64>, value: Range<u64>, _: &[u8]) {
        self.outputs.push(field(name, &key, &value));
    }

    fn resource_field(&mut self, name: &str, key: Range<u64>, value: Range<u64>) {
        self.resource_fields.push(field(name, &key, &value));
    }

    fn instance(&mut self, value: Range<u64>, _: &[u8]) {
        self.spans.push(local(&value));
    }

    fn resource(&mut self, value: Range<u64>, name: &ResourceName, instances: &[InstanceName], _: &[u8]) {
        let instances = instances.iter().zip(self.spans.drain(..)).map(|(instance, span)| Instance {
            address: name.instance(instance.key.as_ref(), instance.deposed.as_deref()),
            key: instance.key.clone(),
            deposed: instance.deposed.clone(),
            span,
        });
        self.resources.push(Resource {
            name: name.clone(),
            span: local(&value),
            instances: instances.collect(),
            fields: std::mem::take(&mut self.resource_fields),
        });
    }
}
