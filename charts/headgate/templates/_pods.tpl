{{/*
What the Pods of the two Deployments have in common. Each define takes the root, or a list that begins with it.
*/}}

{{/* Placement. Takes [root, component]. Pods of one revision spread over zones and nodes, as well as possible. */}}
{{- define "headgate.placement" -}}
{{- $root := index . 0 }}
{{- $component := index . 1 }}
{{- $values := index $root.Values $component }}
{{- with $values.priorityClassName }}
priorityClassName: {{ . }}
{{- end }}
{{- with $values.nodeSelector }}
nodeSelector: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.tolerations }}
tolerations: {{- toYaml . | nindent 2 }}
{{- end }}
{{- with $values.affinity }}
affinity: {{- toYaml . | nindent 2 }}
{{- end }}
{{- if kindIs "slice" $values.topologySpreadConstraints }}
{{- with $values.topologySpreadConstraints }}
topologySpreadConstraints: {{- toYaml . | nindent 2 }}
{{- end }}
{{- else }}
topologySpreadConstraints:
  {{- range list "topology.kubernetes.io/zone" "kubernetes.io/hostname" }}
  - topologyKey: {{ . }}
    maxSkew: 1
    whenUnsatisfiable: ScheduleAnyway
    matchLabelKeys: [pod-template-hash]
    labelSelector:
      matchLabels: {{- include "headgate.selector" (list $root $component) | nindent 8 }}
  {{- end }}
{{- end }}
{{- end }}

{{/* Probes. Liveness asks for nothing but a running process: a restart cures no store, provider or API server. */}}
{{- define "headgate.probes" -}}
startupProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 1
  timeoutSeconds: 2
  failureThreshold: 60
readinessProbe:
  httpGet: { path: /readyz, port: admin }
  periodSeconds: 2
  timeoutSeconds: 2
  failureThreshold: 3
livenessProbe:
  httpGet: { path: /livez, port: admin }
  periodSeconds: 10
  timeoutSeconds: 5
  failureThreshold: 3
{{- end }}

{{/* Variables as `env`. Takes [the chart's, the user's]: of two with one name the user's stays. */}}
{{- define "headgate.env" -}}
{{- $theirs := index . 1 }}
{{- $names := list }}
{{- range $theirs }}{{- $names = append $names .name }}{{- end }}
{{- $all := list }}
{{- range index . 0 }}
{{- if not (has .name $names) }}{{- $all = append $all . }}{{- end }}
{{- end }}
{{- concat $all $theirs | toYaml }}
{{- end }}
