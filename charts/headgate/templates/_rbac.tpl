{{/*
A role and its binding. Takes a dict: root, component, name, namespace ("" makes it cluster-wide), rules (the name of a
define that prints them).
*/}}
{{- define "headgate.grant" -}}
{{- $root := .root }}
{{- $kind := ternary "Role" "ClusterRole" (ne .namespace "") }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "headgate.labels" (list $root .component dict) | nindent 4 }}
rules: {{- include .rules $root | nindent 2 }}
---
apiVersion: rbac.authorization.k8s.io/v1
kind: {{ $kind }}Binding
metadata:
  name: {{ .name }}
  {{- with .namespace }}
  namespace: {{ . }}
  {{- end }}
  labels: {{- include "headgate.labels" (list $root .component dict) | nindent 4 }}
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: {{ $kind }}, name: {{ .name }} }
subjects:
  - kind: ServiceAccount
    name: {{ include (printf "headgate.%s.serviceAccount" .component) $root }}
    namespace: {{ $root.Release.Namespace }}
{{- end }}
