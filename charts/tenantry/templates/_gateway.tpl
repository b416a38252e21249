{{/* At most 52 characters, as the release's full name. */}}
{{- define "tenantry.gateway.fullname" -}}
{{- include "tenantry.fullname" . | trunc 44 | trimSuffix "-" }}-gateway
{{- end }}

{{/* Another name than the operator's, so that no selector of the one finds the other's pods. */}}
{{- define "tenantry.gateway.selectorLabels" -}}
app.kubernetes.io/name: {{ include "tenantry.name" . | trunc 55 | trimSuffix "-" }}-gateway
app.kubernetes.io/instance: {{ .Release.Name }}
{{- end }}

{{- define "tenantry.gateway.labels" -}}
{{- $own := include "tenantry.gateway.selectorLabels" . | fromYaml }}
{{- mustMergeOverwrite (include "tenantry.labels" . | fromYaml) $own | toYaml }}
{{- end }}

{{- define "tenantry.gateway.serviceAccountName" -}}
{{- default (include "tenantry.gateway.fullname" .) .Values.gateway.serviceAccount.name }}
{{- end }}

{{- define "tenantry.gateway.servicePort" -}}
{{- default (ternary 80 443 .Values.gateway.tls.plaintext) .Values.gateway.service.port | int }}
{{- end }}

{{/* Where programs find it, without the port that their scheme has anyway. */}}
{{- define "tenantry.gateway.url" -}}
{{- $port := include "tenantry.gateway.servicePort" . }}
{{- $plain := .Values.gateway.tls.plaintext -}}
{{ ternary "http" "https" $plain }}://{{ include "tenantry.gateway.fullname" . }}.{{ .Release.Namespace }}.svc
{{- if ne $port (ternary "80" "443" $plain) }}:{{ $port }}{{ end }}
{{- end }}

{{/* Where its certificate is from: plaintext, secret, cert-manager or helm. */}}
{{- define "tenantry.gateway.certificateFrom" -}}
{{- with .Values.gateway.tls -}}
{{- if .plaintext -}}plaintext
{{- else if .secret -}}secret
{{- else if .issuerRef.name -}}cert-manager
{{- else -}}helm
{{- end }}
{{- end }}
{{- end }}

{{- define "tenantry.gateway.tlsSecret" -}}
{{- default (printf "%s-tls" (include "tenantry.gateway.fullname" .)) .Values.gateway.tls.secret }}
{{- end }}

{{/* The names in the certificate, as a JSON list. */}}
{{- define "tenantry.gateway.dnsNames" -}}
{{- $name := include "tenantry.gateway.fullname" . }}
{{- $namespace := .Release.Namespace }}
{{- $service := list (printf "%s.%s.svc" $name $namespace) (printf "%s.%s.svc.cluster.local" $name $namespace) (printf "%s.%s" $name $namespace) $name }}
{{- concat $service .Values.gateway.tls.dnsNames | uniq | toJson }}
{{- end }}

{{/* Where the authorities of an issuer are mounted. */}}
{{- define "tenantry.gateway.issuerPath" -}}
/etc/tenantry/issuers/{{ .index }}
{{- end }}

{{/* The flags of `tenantry gateway`. */}}
{{- define "tenantry.gateway.args" -}}
{{- $v := .Values -}}
{{- $g := .Values.gateway -}}
- gateway
- --installation={{ $v.installation }}
{{- with $v.selector }}
- {{ printf "--selector=%s" . | quote }}
{{- end }}
{{- with $v.installationBucket }}
- --installation-bucket={{ . }}
{{- end }}
- --ask-role={{ $g.askRole }}
- --audience={{ $g.audience }}
{{- range $index, $issuer := $g.issuers }}
{{- $authority := "" }}
{{- with .authorities }}
{{- $authority = printf ",ca=%s/%s" (include "tenantry.gateway.issuerPath" (dict "index" $index)) .key }}
{{- end }}
- {{ printf "--oidc-issuer=%s,audience=%s,claim=%s%s" .url .audience .claim $authority | quote }}
{{- end }}
- --bind-address={{ $v.bindAddress }}:{{ int $g.port }}
{{- if $g.tls.plaintext }}
- --plaintext
{{- else }}
- --tls-cert-dir=/etc/tenantry/tls
{{- end }}
- --retrieve-rate={{ int $g.retrieveRate }}
- --pace={{ $g.pace }}
- --max-in-flight={{ int $g.maxInFlight }}
- --service={{ .Release.Namespace }}/{{ include "tenantry.gateway.fullname" . }}
- --access-log={{ $g.accessLog }}
- --log-format={{ $v.logFormat }}
- --health-probe-bind-address={{ $v.bindAddress }}:{{ int $v.health.port }}
{{- if $v.metrics.enabled }}
- --metrics-bind-address={{ $v.bindAddress }}:{{ int $v.metrics.port }}
{{- end }}
{{- range $g.extraArgs }}
- {{ . | quote }}
{{- end }}
{{- end }}

{{/* The volumes of its pods: its certificate, and the authorities of AWS and of issuers. */}}
{{- define "tenantry.gateway.volumes" -}}
{{- if not .Values.gateway.tls.plaintext }}
- name: certificate
  secret:
    secretName: {{ include "tenantry.gateway.tlsSecret" . | quote }}
    items:
      - {key: tls.crt, path: tls.crt}
      - {key: tls.key, path: tls.key}
{{- end }}
{{- with include "tenantry.authoritiesVolume" . }}
{{ . }}
{{- end }}
{{- range $index, $issuer := .Values.gateway.issuers }}
{{- with .authorities }}
- name: issuer-{{ $index }}
  configMap:
    name: {{ .configMap | quote }}
    items:
      - {key: {{ .key | quote }}, path: {{ .key | quote }}}
{{- end }}
{{- end }}
{{- with .Values.gateway.extraVolumes }}
{{ toYaml . }}
{{- end }}
{{- end }}

{{- define "tenantry.gateway.mounts" -}}
{{- if not .Values.gateway.tls.plaintext }}
- name: certificate
  mountPath: /etc/tenantry/tls
  readOnly: true
{{- end }}
{{- with include "tenantry.authoritiesMount" . }}
{{ . }}
{{- end }}
{{- range $index, $issuer := .Values.gateway.issuers }}
{{- if .authorities }}
- name: issuer-{{ $index }}
  mountPath: {{ include "tenantry.gateway.issuerPath" (dict "index" $index) }}
  readOnly: true
{{- end }}
{{- end }}
{{- with .Values.gateway.extraVolumeMounts }}
{{ toYaml . }}
{{- end }}
{{- end }}
