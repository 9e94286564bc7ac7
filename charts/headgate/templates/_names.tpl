{{/*
Names and labels. Everything a second release could collide with carries the installation id, which is also what the
operator and the data planes know each other by.
*/}}

{{- define "headgate.name" -}}
{{- default .Chart.Name .Values.nameOverride | trunc 40 | trimSuffix "-" }}
{{- end }}

{{/* The stem of names in the release's namespace; 40 characters leave room for the longest suffix within a label. */}}
{{- define "headgate.fullname" -}}
{{- $name := include "headgate.name" . }}
{{- if .Values.fullnameOverride }}
{{- .Values.fullnameOverride | trunc 40 | trimSuffix "-" }}
{{- else if contains $name .Release.Name }}
{{- .Release.Name | trunc 40 | trimSuffix "-" }}
{{- else }}
{{- printf "%s-%s" .Release.Name $name | trunc 40 | trimSuffix "-" }}
{{- end }}
{{- end }}

{{/* Unique in the cluster: names of cluster-wide objects and of those in foreign namespaces begin with it. */}}
{{- define "headgate.installation" -}}
{{- printf "headgate.%s.%s" .Release.Namespace .Release.Name }}
{{- end }}

{{- define "headgate.snapshotNamespace" -}}
{{- default (printf "%s-snapshots" .Release.Namespace) .Values.snapshotNamespace.name }}
{{- end }}

{{/* A list, sorted and without repetition, as JSON. Empty where all namespaces are watched. */}}
{{- define "headgate.watchNamespaces" -}}
{{- if .Values.watchAllNamespaces }}[]
{{- else }}
{{- default (list .Release.Namespace) .Values.watchNamespaces | uniq | sortAlpha | toJson }}
{{- end }}
{{- end }}

{{- define "headgate.sealingKeysSecret" -}}
{{- default (printf "%s-sealing-keys" (include "headgate.fullname" .)) .Values.sealingKeys.existingSecret }}
{{- end }}

{{- define "headgate.operator.name" -}}
{{- printf "%s-operator" (include "headgate.fullname" .) }}
{{- end }}

{{- define "headgate.gateway.name" -}}
{{- printf "%s-gateway" (include "headgate.fullname" .) }}
{{- end }}

{{- define "headgate.operator.serviceAccount" -}}
{{- default (include "headgate.operator.name" .) .Values.operator.serviceAccount.name }}
{{- end }}

{{- define "headgate.gateway.serviceAccount" -}}
{{- default (include "headgate.gateway.name" .) .Values.gateway.serviceAccount.name }}
{{- end }}

{{- define "headgate.image" -}}
{{- $image := .Values.image }}
{{- $repository := list $image.registry $image.repository | compact | join "/" }}
{{- if $image.digest }}
{{- printf "%s@%s" $repository $image.digest }}
{{- else }}
{{- printf "%s:%s" $repository (default .Chart.AppVersion $image.tag) }}
{{- end }}
{{- end }}

{{/* What a selector may say: never changes over the life of a release. Takes [root, component]. */}}
{{- define "headgate.selector" -}}
{{- $root := index . 0 -}}
app.kubernetes.io/name: {{ include "headgate.name" $root }}
app.kubernetes.io/instance: {{ $root.Release.Name }}
app.kubernetes.io/component: {{ index . 1 }}
{{- end }}

{{/* The labels of an object. Takes [root, component or "", more labels]; ours win over the values'. */}}
{{- define "headgate.labels" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $ours := dict
  "app.kubernetes.io/name" (include "headgate.name" $root)
  "app.kubernetes.io/instance" $root.Release.Name
  "app.kubernetes.io/version" $root.Chart.AppVersion
  "app.kubernetes.io/managed-by" $root.Release.Service
  "helm.sh/chart" (printf "%s-%s" $root.Chart.Name $root.Chart.Version | replace "+" "_" | trunc 63) }}
{{- if $component }}{{- $_ := set $ours "app.kubernetes.io/component" $component }}{{- end }}
{{- merge $ours (deepCopy (index . 2)) (deepCopy $root.Values.global.commonLabels) | toYaml }}
{{- end }}

{{/* The labels of a Pod: nothing that a new version of the chart changes alone, lest it restart every Pod. Takes [root, component, more labels]. */}}
{{- define "headgate.podLabels" -}}
{{- $root := index . 0 }}
{{- $ours := include "headgate.selector" (list $root (index . 1)) | fromYaml }}
{{- $_ := set $ours "app.kubernetes.io/version" $root.Chart.AppVersion }}
{{- merge $ours (deepCopy (index . 2)) (deepCopy $root.Values.global.commonLabels) | toYaml }}
{{- end }}
