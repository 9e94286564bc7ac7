{{/*
What a schema cannot see: values that are fine alone and wrong together. Each message says what to change.
*/}}
{{- define "headgate.checks" -}}
{{- $snapshots := include "headgate.snapshotNamespace" . }}
{{- if gt (len (include "headgate.installation" .)) 63 }}
{{- fail (printf "the installation id %q is longer than the 63 characters of a label: take a shorter release name or namespace" (include "headgate.installation" .)) }}
{{- end }}
{{- if and .Values.watchAllNamespaces .Values.watchNamespaces }}
{{- fail "watchAllNamespaces and watchNamespaces exclude each other: empty watchNamespaces, or set watchAllNamespaces to false" }}
{{- end }}
{{- $watched := include "headgate.watchNamespaces" . | fromJsonArray }}
{{- if or (eq $snapshots .Release.Namespace) (has $snapshots $watched) }}
{{- fail (printf "snapshotNamespace.name is %q, where other things live: data planes may read every Secret there, so give it a namespace of its own" $snapshots) }}
{{- end }}
{{- if not .Values.watchAllNamespaces }}
{{- range .Values.sharedNamespaces }}
{{- if not (has . $watched) }}
{{- fail (printf "sharedNamespaces names %q, which is not watched: add it to watchNamespaces" .) }}
{{- end }}
{{- end }}
{{- end }}
{{- with .Values.gateway }}
{{- $stopping := add .preStopSleepSeconds .drainTimeoutSeconds }}
{{- if and (not (kindIs "invalid" .terminationGracePeriodSeconds)) (lt (int64 .terminationGracePeriodSeconds) $stopping) }}
{{- fail (printf "gateway.terminationGracePeriodSeconds is %d, but preStopSleepSeconds and drainTimeoutSeconds take %d: raise it, or leave it out" (int64 .terminationGracePeriodSeconds) $stopping) }}
{{- end }}
{{- if and .autoscaling.enabled (lt (int64 .autoscaling.maxReplicas) (int64 .autoscaling.minReplicas)) }}
{{- fail "gateway.autoscaling.maxReplicas is below minReplicas: raise it" }}
{{- end }}
{{- if and .ingress.enabled (not .ingress.hosts) }}
{{- fail "gateway.ingress.enabled needs a host: add it to gateway.ingress.hosts" }}
{{- end }}
{{- if and .httpRoute.enabled (not .httpRoute.parentRefs) }}
{{- fail "gateway.httpRoute.enabled needs a Gateway to attach to: name it in gateway.httpRoute.parentRefs" }}
{{- end }}
{{- end }}
{{- end }}
