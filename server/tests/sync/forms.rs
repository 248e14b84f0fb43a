//! Small forms with one field of every kind that the rules speak of.

/// Inspections: in a bucket, with a field of every policy.
pub(crate) const VISIT: &str = r#"{
  "type": "visit", "version": 3, "ja": "記録", "en": "Record", "title": "title",
  "home": {"bucket": ["station"]}, "write": ["inspector", "supervisor"],
  "sections": [{"code": "A", "ja": "甲", "en": "A"}],
  "statuses": {
    "initial": "draft",
    "states": [
      {"code": "draft", "ja": "作成中", "en": "Draft", "rank": 0},
      {"code": "done", "ja": "済", "en": "Done", "rank": 2}
    ],
    "transitions": [{"from": ["draft"], "to": "done", "offline": "yes", "roles": ["inspector"]}]
  },
  "fields": [
    {"path": "title", "section": "A", "kind": "text", "ja": "題", "en": "Title", "required": true},
    {"path": "opinion", "section": "A", "kind": "narrative", "ja": "所見", "en": "Opinion"},
    {"path": "decision", "section": "A", "kind": "text", "ja": "判断", "en": "Decision", "write": ["supervisor"]},
    {"path": "number", "section": "A", "kind": "text", "ja": "番号", "en": "Number", "write": []},
    {"path": "checks.F07", "section": "A", "kind": "check", "ja": "消火器", "en": "Extinguisher"},
    {"path": "grade", "section": "A", "kind": "choice", "ja": "程度", "en": "Grade", "merge": "strict", "choices": [
      {"code": "serious", "ja": "重大", "en": "Serious", "rank": 2}, {"code": "minor", "ja": "軽微", "en": "Minor", "rank": 1}]},
    {"path": "findings", "section": "A", "kind": "rows", "ja": "指摘", "en": "Findings", "cells": [
      {"path": "text", "kind": "narrative", "ja": "内容", "en": "Text"}]},
    {"path": "photos", "section": "A", "kind": "photos", "ja": "写真", "en": "Photos"},
    {"path": "status", "section": "A", "kind": "status", "ja": "状態", "en": "Status"}
  ]
}"#;

/// Notes about a visit, or about another note.
pub(crate) const NOTE: &str = r#"{
  "type": "note", "version": 1, "ja": "覚え", "en": "Note", "title": "text",
  "home": {"about": ["visit", "note"]}, "write": ["inspector"],
  "sections": [{"code": "A", "ja": "甲", "en": "A"}],
  "fields": [{"path": "text", "section": "A", "kind": "text", "ja": "内容", "en": "Text"}]
}"#;

/// A form that is published in the course of a test.
pub(crate) const SURVEY: &str = r#"{
  "type": "survey", "version": 1, "ja": "調査", "en": "Survey", "title": "title",
  "home": {"bucket": ["station"]}, "write": ["inspector"],
  "sections": [{"code": "A", "ja": "甲", "en": "A"}],
  "fields": [{"path": "title", "section": "A", "kind": "text", "ja": "題", "en": "Title"}]
}"#;
