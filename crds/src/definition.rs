//! The five `CustomResourceDefinition`s as the API server gets them: what the derive makes of the types, finished by hand.
//!
//! kube's derive marks every optional field `nullable` and writes integer formats that Kubernetes does not know. Both go
//! here: without `nullable` a `null` is dropped before defaults apply, so that it means the same as leaving the field out,
//! and with unknown formats every `kubectl apply` of the CRD would warn.
