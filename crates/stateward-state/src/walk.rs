//! What the parts of a state are: turns JSON events into fields, outputs, resources and instances.

use std::mem;
use std::ops::Range;

use crate::address::{IndexKey, ResourceName};
use crate::error::ScanError;
use crate::json::{Canon, Kind, Order, Scalar, Sink, escape, number};

/// Receives the parts of a state in the order they end. Ranges are in bytes of the body; `canon` is canonical JSON.
pub(crate) trait Observer {
    /// A top-level field: its name as a literal without quotes, and where key and value stand.
    fn field(&mut self, _name: &str, _key: Range<u64>, _value: Range<u64>) {}
    /// An output or a resource starts.
    fn begin(&mut self, _at: u64) {}
    /// A root output ended.
    fn output(&mut self, name: &str, key: Range<u64>, value: Range<u64>, canon: &[u8]);
    /// A field of the current resource ended.
    fn resource_field(&mut self, _name: &str, _key: Range<u64>, _value: Range<u64>) {}
    /// An instance of the current resource ended.
    fn instance(&mut self, value: Range<u64>, canon: &[u8]);
    /// A resource ended. `canon` is all of it but the elements of `instances`.
    fn resource(&mut self, value: Range<u64>, name: &ResourceName, instances: &[InstanceName], canon: &[u8]);
    /// How many bytes from `at` on are a resource that needs no reading: it was read elsewhere, byte for byte.
    fn known(&mut self, _at: u64) -> u64 {
        0
    }
    /// Whether `field` and `resource_field` are listened to.
    const FIELDS: bool = false;
    /// Whether canonical JSON is wanted. Without, all of it is empty, and reading is faster.
    const CANON: bool = true;
}

/// What tells an instance apart within its resource.
#[derive(Debug, Clone, Default, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct InstanceName {
    pub(crate) key: Option<IndexKey>,
    pub(crate) deposed: Option<String>,
}

/// The fields at the top level, and where their values stand.
#[derive(Debug, Default)]
pub(crate) struct Top {
    pub(crate) version: Option<u64>,
    pub(crate) terraform_version: Option<(Option<String>, Range<u64>)>,
    pub(crate) serial: Option<(u64, Range<u64>)>,
    pub(crate) lineage: Option<(String, Range<u64>)>,
    pub(crate) encryption_version: Option<String>,
    pub(crate) outputs: Option<Range<u64>>,
    pub(crate) resources: Option<Range<u64>>,
}

impl Top {
    /// Whether the body is encrypted by `OpenTofu`, and if not, whether it is a state of a known format.
    pub(crate) fn check(&self) -> Result<bool, ScanError> {
        match &self.lineage {
            Some((lineage, _)) if lineage.is_empty() => self.check_planned().and(Err(ScanError::MissingLineage)),
            _ => self.check_planned(),
        }
    }

    /// As [`Top::check`], for a state in a plan, whose lineage is empty where the plan was made against none.
    pub(crate) fn check_planned(&self) -> Result<bool, ScanError> {
        let opaque = self.encryption_version.as_ref().is_some_and(|version| !version.is_empty());
        if !opaque {
            match self.version {
                Some(4) => {}
                None => return Err(ScanError::MissingFormat),
                Some(version) if version > 4 => return Err(ScanError::UnknownFormat { version }),
                Some(version) => return Err(ScanError::UnsupportedFormat { version }),
            }
        }
        if self.serial.is_none() {
            return Err(ScanError::MissingSerial);
        }
        if self.lineage.is_none() {
            return Err(ScanError::MissingLineage);
        }
        Ok(opaque)
    }
}

/// The top-level fields that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Field {
    Version,
    TerraformVersion,
    Serial,
    Lineage,
    EncryptionVersion,
    Outputs,
    Resources,
    Other,
}

/// The fields of a resource that mean something here.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum ResourceField {
    Module,
    Mode,
    Type,
    Name,
    Instances,
    Other,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum InstanceField {
    IndexKey,
    Deposed,
    Other,
}

/// Which fields of an object were met, to refuse a second one.
#[derive(Debug, Default, Clone, Copy)]
struct Seen(u16);

impl Seen {
    fn add(&mut self, bit: u16, field: &'static str, offset: u64) -> Result<(), ScanError> {
        if self.0 & (1 << bit) != 0 {
            return Err(ScanError::DuplicateField { field, offset });
        }
        self.0 |= 1 << bit;
        Ok(())
    }
}

/// A key whose value has not ended.
#[derive(Debug, Default)]
struct Pending {
    /// Kept only for observers that listen to fields, and for outputs.
    name: String,
    key: Range<u64>,
    /// Where the value starts.
    at: u64,
}

/// The sink that knows the state format.
#[derive(Debug)]
pub(crate) struct Walker<O> {
    pub(crate) observer: O,
    pub(crate) top: Top,
    field: Field,
    seen: Seen,
    pending: Pending,
    output: Pending,
    resource: Resource,
}

/// The resource being read.
#[derive(Debug)]
struct Resource {
    at: u64,
    name: ResourceName,
    seen: Seen,
    field: ResourceField,
    pending: Pending,
    /// How many of `instances` belong to it; the rest is kept for its memory.
    instances: Vec<InstanceName>,
    /// Mark of the `instances` array, and of the current instance, in the canonical text.
    array: usize,
    mark: usize,
    instance_at: u64,
    instance_seen: Seen,
    instance_field: InstanceField,
    instance: InstanceName,
}

const fn shape(offset: u64, expected: &'static str) -> ScanError {
    ScanError::Shape { offset, expected }
}

impl<O: Observer> Walker<O> {
    pub(crate) fn new(observer: O) -> Self {
        Self {
            observer,
            top: Top::default(),
            field: Field::Other,
            seen: Seen::default(),
            pending: Pending::default(),
            output: Pending::default(),
            resource: Resource {
                at: 0,
                name: ResourceName::default(),
                seen: Seen::default(),
                field: ResourceField::Other,
                pending: Pending::default(),
                instances: Vec::new(),
                array: 0,
                mark: 0,
                instance_at: 0,
                instance_seen: Seen::default(),
                instance_field: InstanceField::Other,
                instance: InstanceName::default(),
            },
        }
    }

    fn top_key(&mut self, span: Range<u64>, text: &[u8]) -> Result<(), ScanError> {
        // Canonical text has no escapes in these names.
        let (field, known) = match text {
            b"version" => (Field::Version, "version"),
            b"terraform_version" => (Field::TerraformVersion, "terraform_version"),
            b"serial" => (Field::Serial, "serial"),
            b"lineage" => (Field::Lineage, "lineage"),
            b"encryption_version" => (Field::EncryptionVersion, "encryption_version"),
            b"outputs" => (Field::Outputs, "outputs"),
            b"resources" => (Field::Resources, "resources"),
            _ => (Field::Other, ""),
        };
        self.field = field;
        if field != Field::Other {
            self.seen.add(field as u16, known, span.start)?;
        }
        let name = if O::FIELDS { escape::unescape(text).into_owned() } else { String::new() };
        self.pending = Pending { name, key: span, at: 0 };
        Ok(())
    }

    /// A top-level value ended.
    fn top_value(&mut self, span: Range<u64>) {
        match self.field {
            Field::Outputs => self.top.outputs = Some(span.clone()),
            Field::Resources => self.top.resources = Some(span.clone()),
            _ => {}
        }
        if O::FIELDS {
            self.observer.field(&self.pending.name, self.pending.key.clone(), span);
        }
        self.field = Field::Other;
    }

    fn top_scalar(&mut self, canon: &Canon, span: &Range<u64>, scalar: &Scalar<'_>) -> Result<(), ScanError> {
        let whole = |lexeme: &[u8]| {
            let digits = std::str::from_utf8(lexeme).ok().filter(|text| text.bytes().all(|byte| byte.is_ascii_digit()));
            digits.and_then(|digits| digits.parse::<u64>().ok())
        };
        let string = |text: &Range<usize>| escape::unescape(canon.text(text.clone())).into_owned();
        let at = span.start;
        match (self.field, scalar) {
            (Field::Version, Scalar::Number(lexeme)) => {
                self.top.version = Some(whole(lexeme).ok_or_else(|| shape(at, "`version` must be a whole number"))?);
            }
            (Field::Version, _) => return Err(shape(at, "`version` must be a whole number")),
            (Field::Serial, Scalar::Number(lexeme)) => {
                let serial = whole(lexeme).ok_or(ScanError::InvalidSerial { offset: at })?;
                self.top.serial = Some((serial, span.clone()));
            }
            (Field::Serial, _) => return Err(ScanError::InvalidSerial { offset: at }),
            (Field::Lineage, Scalar::String(text)) => self.top.lineage = Some((string(text), span.clone())),
            (Field::Lineage, _) => return Err(shape(at, "`lineage` must be a string")),
            (Field::TerraformVersion, Scalar::String(text)) => {
                self.top.terraform_version = Some((Some(string(text)), span.clone()));
            }
            (Field::TerraformVersion, Scalar::Null) => self.top.terraform_version = Some((None, span.clone())),
            (Field::TerraformVersion, _) => return Err(shape(at, "`terraform_version` must be a string")),
            (Field::EncryptionVersion, Scalar::String(text)) => self.top.encryption_version = Some(string(text)),
            (Field::Outputs | Field::Resources, Scalar::Null) | (Field::EncryptionVersion | Field::Other, _) => {}
            (Field::Outputs, _) => return Err(shape(at, "`outputs` must be an object")),
            (Field::Resources, _) => return Err(shape(at, "`resources` must be an array")),
        }
        Ok(())
    }

    fn top_container(&self, kind: Kind, at: u64) -> Result<(), ScanError> {
        match (self.field, kind) {
            (Field::Version, _) => Err(shape(at, "`version` must be a whole number")),
            (Field::Serial, _) => Err(ScanError::InvalidSerial { offset: at }),
            (Field::Lineage, _) => Err(shape(at, "`lineage` must be a string")),
            (Field::TerraformVersion, _) => Err(shape(at, "`terraform_version` must be a string")),
            (Field::Outputs, Kind::Array) => Err(shape(at, "`outputs` must be an object")),
            (Field::Resources, Kind::Object) => Err(shape(at, "`resources` must be an array")),
            _ => Ok(()),
        }
    }

    /// An output or a resource, by the section it is in, starts.
    fn begin(&mut self, canon: &mut Canon, kind: Kind, at: u64) -> Result<(), ScanError> {
        match (self.field, kind) {
            (Field::Outputs, Kind::Array) => return Err(shape(at, "an output must be an object")),
            (Field::Resources, Kind::Array) => return Err(shape(at, "a resource must be an object")),
            (Field::Outputs, Kind::Object) => self.output.at = at,
            (Field::Resources, Kind::Object) => self.resource.begin(at),
            _ => return Ok(()),
        }
        if O::CANON {
            canon.start();
        }
        self.observer.begin(at);
        Ok(())
    }

    fn end(&mut self, canon: &mut Canon, end: u64) -> Result<(), ScanError> {
        let all = canon.text(0..canon.mark());
        match self.field {
            Field::Outputs => {
                let Pending { name, key, at } = mem::take(&mut self.output);
                self.observer.output(&name, key, at..end, all);
            }
            Field::Resources => {
                let resource = &mut self.resource;
                let name = &resource.name;
                if name.mode.is_empty() || name.r#type.is_empty() || name.name.is_empty() {
                    return Err(shape(resource.at, "a resource must have a `mode`, a `type` and a `name`"));
                }
                self.observer.resource(resource.at..end, name, &resource.instances, all);
            }
            _ => return Ok(()),
        }
        canon.stop();
        Ok(())
    }

    fn instance_end(&mut self, canon: &mut Canon, end: u64) {
        let resource = &mut self.resource;
        self.observer.instance(resource.instance_at..end, canon.text(resource.mark..canon.mark()));
        canon.truncate(resource.mark);
        resource.instances.push(mem::take(&mut resource.instance));
    }

    fn resource_value(&mut self, span: Range<u64>) {
        if O::FIELDS {
            let pending = &self.resource.pending;
            self.observer.resource_field(&pending.name, pending.key.clone(), span);
        }
        self.resource.field = ResourceField::Other;
    }
}

impl Resource {
    fn begin(&mut self, at: u64) {
        self.at = at;
        self.seen = Seen::default();
        self.instances.clear();
        for text in [&mut self.name.module, &mut self.name.mode, &mut self.name.r#type, &mut self.name.name] {
            text.clear();
        }
    }

    fn key(&mut self, span: Range<u64>, text: &[u8], keep: bool) -> Result<(), ScanError> {
        let (field, known) = match text {
            b"module" => (ResourceField::Module, "module"),
            b"mode" => (ResourceField::Mode, "mode"),
            b"type" => (ResourceField::Type, "type"),
            b"name" => (ResourceField::Name, "name"),
            b"instances" => (ResourceField::Instances, "instances"),
            _ => (ResourceField::Other, ""),
        };
        self.field = field;
        if field != ResourceField::Other {
            self.seen.add(field as u16, known, span.start)?;
        }
        if keep {
            self.pending.name.clear();
            self.pending.name.push_str(&escape::unescape(text));
            self.pending.key = span;
        }
        Ok(())
    }

    fn scalar(&mut self, canon: &Canon, at: u64, scalar: &Scalar<'_>) -> Result<(), ScanError> {
        let target = match self.field {
            ResourceField::Module => &mut self.name.module,
            ResourceField::Mode => &mut self.name.mode,
            ResourceField::Type => &mut self.name.r#type,
            ResourceField::Name => &mut self.name.name,
            ResourceField::Instances if *scalar == Scalar::Null => return Ok(()),
            ResourceField::Instances => return Err(shape(at, "`instances` must be an array")),
            ResourceField::Other => return Ok(()),
        };
        match scalar {
            Scalar::String(text) => target.push_str(&escape::unescape(canon.text(text.clone()))),
            Scalar::Null => {}
            _ => return Err(shape(at, "`module`, `mode`, `type` and `name` of a resource must be strings")),
        }
        Ok(())
    }

    fn container(&mut self, canon: &Canon, kind: Kind, at: u64) -> Result<(), ScanError> {
        self.pending.at = at;
        match (self.field, kind) {
            (ResourceField::Instances, Kind::Array) => {
                self.array = canon.mark();
                Ok(())
            }
            (ResourceField::Instances, Kind::Object) => Err(shape(at, "`instances` must be an array")),
            (ResourceField::Other, _) => Ok(()),
            _ => Err(shape(at, "`module`, `mode`, `type` and `name` of a resource must be strings")),
        }
    }

    /// Whether the current field is part of the name.
    fn is_named(&self) -> bool {
        matches!(self.field, ResourceField::Module | ResourceField::Mode | ResourceField::Type | ResourceField::Name)
    }

    fn in_instances(&self) -> bool {
        self.field == ResourceField::Instances
    }

    fn instance_begin(&mut self, canon: &Canon, kind: Kind, at: u64) -> Result<(), ScanError> {
        if kind == Kind::Array {
            return Err(shape(at, "an instance must be an object"));
        }
        self.mark = canon.mark();
        self.instance_at = at;
        self.instance_seen = Seen::default();
        self.instance_field = InstanceField::Other;
        Ok(())
    }

    fn instance_key(&mut self, at: u64, text: &[u8]) -> Result<(), ScanError> {
        let (field, known) = match text {
            b"index_key" => (InstanceField::IndexKey, "index_key"),
            b"deposed" => (InstanceField::Deposed, "deposed"),
            _ => (InstanceField::Other, ""),
        };
        self.instance_field = field;
        if field != InstanceField::Other {
            self.instance_seen.add(field as u16, known, at)?;
        }
        Ok(())
    }

    fn instance_scalar(&mut self, canon: &Canon, at: u64, scalar: &Scalar<'_>) -> Result<(), ScanError> {
        let string = |text: &Range<usize>| escape::unescape(canon.text(text.clone())).into_owned();
        match (self.instance_field, scalar) {
            (InstanceField::Other, _) | (_, Scalar::Null) => {}
            (InstanceField::IndexKey, Scalar::String(text)) => {
                self.instance.key = Some(IndexKey::String(string(text)));
            }
            (InstanceField::IndexKey, Scalar::Number(lexeme)) => {
                let index = number::canonical(lexeme).and_then(|text| text.parse().ok());
                let index = index.ok_or_else(|| shape(at, "`index_key` must be a whole number or a string"))?;
                self.instance.key = Some(IndexKey::Int(index));
            }
            (InstanceField::IndexKey, Scalar::Bool(_)) => {
                return Err(shape(at, "`index_key` must be a whole number or a string"));
            }
            // Terraform writes no `deposed` for the current object, and reads an empty one as none.
            (InstanceField::Deposed, Scalar::String(text)) => {
                self.instance.deposed = Some(string(text)).filter(|text| !text.is_empty());
            }
            (InstanceField::Deposed, _) => return Err(shape(at, "`deposed` must be a string")),
        }
        self.instance_field = InstanceField::Other;
        Ok(())
    }
}

impl<O: Observer> Sink for Walker<O> {
    const WATCH: usize = 5;

    fn wants(&self, depth: usize, key: bool) -> bool {
        match (depth, key) {
            (1, true) => true,
            (1, false) => matches!(self.field, Field::Lineage | Field::TerraformVersion | Field::EncryptionVersion),
            (2, true) => self.field == Field::Outputs,
            (3, true) => self.field == Field::Resources,
            (3, false) => self.field == Field::Resources && self.resource.is_named(),
            (5, true) => self.field == Field::Resources && self.resource.in_instances(),
            (5, false) => self.resource.instance_field != InstanceField::Other,
            _ => false,
        }
    }

    fn known(&mut self, depth: usize, at: u64) -> u64 {
        if depth == 2 && self.field == Field::Resources { self.observer.known(at) } else { 0 }
    }

    fn open(&mut self, canon: &mut Canon, kind: Kind, depth: usize, at: u64) -> Result<Order, ScanError> {
        let in_instances = self.field == Field::Resources && self.resource.in_instances();
        match depth {
            0 if kind == Kind::Array => return Err(ScanError::NotAnObject),
            1 => {
                self.pending.at = at;
                self.top_container(kind, at)?;
            }
            2 => {
                self.begin(canon, kind, at)?;
                return Ok(if self.field == Field::Resources { Order::Format } else { Order::Key });
            }
            3 if self.field == Field::Resources => self.resource.container(canon, kind, at)?,
            4 if in_instances => {
                self.resource.instance_begin(canon, kind, at)?;
                return Ok(Order::Format);
            }
            5 if in_instances && self.resource.instance_field != InstanceField::Other => {
                return Err(shape(at, "`index_key` and `deposed` of an instance must be strings or numbers"));
            }
            _ => {}
        }
        Ok(Order::Key)
    }

    fn close(&mut self, canon: &mut Canon, depth: usize, end: u64) -> Result<(), ScanError> {
        match depth {
            1 => self.top_value(self.pending.at..end),
            2 => self.end(canon, end)?,
            3 if self.field == Field::Resources => {
                if self.resource.in_instances() {
                    canon.truncate(self.resource.array);
                    canon.push(b"[]");
                }
                self.resource_value(self.resource.pending.at..end);
            }
            4 if self.field == Field::Resources && self.resource.in_instances() => self.instance_end(canon, end),
            _ => {}
        }
        Ok(())
    }

    fn key(&mut self, canon: &mut Canon, depth: usize, span: Range<u64>, text: Range<usize>) -> Result<(), ScanError> {
        let text = canon.text(text);
        match (depth, self.field) {
            (1, _) => self.top_key(span, text),
            (2, Field::Outputs) => {
                self.output = Pending { name: escape::unescape(text).into_owned(), key: span, at: 0 };
                Ok(())
            }
            (3, Field::Resources) => self.resource.key(span, text, O::FIELDS),
            (5, Field::Resources) if self.resource.in_instances() => self.resource.instance_key(span.start, text),
            _ => Ok(()),
        }
    }

    fn scalar(
        &mut self,
        canon: &mut Canon,
        depth: usize,
        span: Range<u64>,
        scalar: Scalar<'_>,
    ) -> Result<(), ScanError> {
        match (depth, self.field) {
            (0, _) => Err(ScanError::NotAnObject),
            (1, _) => {
                self.top_scalar(canon, &span, &scalar)?;
                self.top_value(span);
                Ok(())
            }
            (2, Field::Outputs) => Err(shape(span.start, "an output must be an object")),
            (2, Field::Resources) => Err(shape(span.start, "a resource must be an object")),
            (3, Field::Resources) => {
                self.resource.scalar(canon, span.start, &scalar)?;
                self.resource_value(span);
                Ok(())
            }
            (4, Field::Resources) if self.resource.in_instances() => {
                Err(shape(span.start, "an instance must be an object"))
            }
            (5, Field::Resources) if self.resource.in_instances() => {
                self.resource.instance_scalar(canon, span.start, &scalar)
            }
            _ => Ok(()),
        }
    }
}
