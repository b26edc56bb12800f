/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts: those that a pod resolves, and how. */
#include <arpa/inet.h>
#include <string.h>

#include "ctl/pod/manifest_internal.h"
#include "lib/cleanup.h"

#define LABEL_MAX 63
/* Limit of the kernel. */
#define HOSTNAME_MAX     64
#define NAME_SERVERS_MAX 3
#define CLUSTER_DOMAIN   "default.svc.cluster.local"

/* Returns whether a text is a label of the DNS. */
static bool
manifest_is_label(const char *text)
{
	size_t n = strlen(text);

	return n > 0 && n <= LABEL_MAX && text[0] != '-' && text[n - 1] != '-' &&
	       strspn(text, "abcdefghijklmnopqrstuvwxyz0123456789-") == n;
}

static int
manifest_read_label(struct manifest_reader *m, const struct field *spec, const char *key,
		    const char **out)
{
	struct field f;

	if (field_text(&m->r, spec, key, out) < 0)
		return -1;
	field_get(spec, key, &f);
	if (*out && **out && !manifest_is_label(*out))
		return field_wrong(&m->r, &f,
				   "invalid name \"%.64s\": expected at most 63 small letters, "
				   "digits and -",
				   *out);
	return 0;
}

int
manifest_read_hostname(struct manifest_reader *m, const struct field *spec)
{
	const char *name = NULL, *subdomain = NULL;
	struct manifest *out = m->m;
	bool wants_fqdn = false;
	struct field f;
	size_t n;

	if (manifest_read_label(m, spec, "hostname", &name) < 0 ||
	    manifest_read_label(m, spec, "subdomain", &subdomain) < 0 ||
	    field_bool(&m->r, spec, "setHostnameAsFQDN", &wants_fqdn) < 0)
		return -1;
	/* As a kubelet does, the name of the pod is cut. */
	if (!name || !*name || out->job.is_indexed)
		name = out->pod_name;
	n = strlen(name) < LABEL_MAX ? strlen(name) : LABEL_MAX;
	while (n > 1 && strchr("-.", name[n - 1]))
		n--;
	out->label = arena_printf(m->r.arena, "%.*s", (int)n, name);
	if (subdomain && *subdomain)
		out->fqdn =
			arena_printf(m->r.arena, "%s.%s." CLUSTER_DOMAIN, out->label, subdomain);
	if (!out->label || (subdomain && *subdomain && !out->fqdn))
		return field_nomem(&m->r);
	out->hostname = wants_fqdn && out->fqdn ? out->fqdn : out->label;
	field_get(spec, "setHostnameAsFQDN", &f);
	if (strlen(out->hostname) > HOSTNAME_MAX)
		return field_wrong(&m->r, &f, "%.100s is longer than %d bytes", out->hostname,
				   HOSTNAME_MAX);
	return 0;
}

/* Returns whether a text is an address of either kind. */
static bool
manifest_is_address(const char *text)
{
	unsigned char ignored[sizeof(struct in6_addr)];

	return inet_pton(AF_INET, text, ignored) == 1 || inet_pton(AF_INET6, text, ignored) == 1;
}

/* Returns whether a text is one word of a line. */
static bool
manifest_is_word(const char *text)
{
	return *text && !strpbrk(text, " \t\r\n");
}

int
manifest_read_dns(struct manifest_reader *m, const struct field *spec)
{
	static const struct field_keys keys = { "nameservers searches options", "", "" };
	static const struct field_keys option_keys = { "name value", "", "" };
	/* There is no DNS of a cluster: the first three are the same. */
	static const char *const policies[] = { "ClusterFirst", "ClusterFirstWithHostNet",
						"Default", "None" };
	const char **servers, **searches, *line = "";
	unsigned int policy = 0;
	struct field dns, options, f;
	struct manifest *out = m->m;
	size_t n, i = 0;

	field_get(spec, "dnsConfig", &dns);
	field_get(&dns, "options", &options);
	if (field_check_map(&m->r, &dns, &keys) < 0 ||
	    field_choice(&m->r, spec, "dnsPolicy", policies, ARRAY_LEN(policies), &policy) < 0 ||
	    field_words(&m->r, &dns, "nameservers", NAME_SERVERS_MAX, &servers, &n) < 0)
		return -1;
	out->has_own_dns = policy == 3;
	field_get(&dns, "nameservers", &f);
	if (out->has_own_dns && n == 0)
		return field_wrong(
			&m->r, f.node ? &f : spec,
			"dnsPolicy None requires a name server in dnsConfig.nameservers");
	for (size_t k = 0; k < n; k++) {
		if (!manifest_is_address(servers[k]))
			return field_wrong(&m->r, &f, "invalid IP address \"%.64s\"", servers[k]);
		out->dns[out->n_dns++] = arena_printf(m->r.arena, "nameserver %s", servers[k]);
	}
	if (field_words(&m->r, &dns, "searches", 32, &searches, &n) < 0 ||
	    field_check_list(&m->r, &options, 32) < 0)
		return -1;
	field_get(&dns, "searches", &f);
	for (size_t k = 0; k < n; k++)
		if (!manifest_is_word(searches[k]))
			return field_wrong(&m->r, &f, "invalid domain \"%.64s\"", searches[k]);
	for (size_t k = 0; line && k < n; k++)
		line = arena_printf(m->r.arena, "%s %s", line, searches[k]);
	if (n)
		out->dns[out->n_dns++] = line ? arena_printf(m->r.arena, "search%s", line) : NULL;
	line = "";
	for (const struct yaml_node *e = options.node ? options.node->first : NULL; e && line;
	     e = e->next) {
		const char *name, *value = NULL;

		field_element(&options, e, i++, &f);
		if (field_check_map(&m->r, &f, &option_keys) < 0 ||
		    field_required(&m->r, &f, "name", &name) < 0 ||
		    field_text(&m->r, &f, "value", &value) < 0)
			return -1;
		if (!manifest_is_word(name) || (value && *value && !manifest_is_word(value)))
			return field_wrong(&m->r, &f, "invalid option \"%.64s\"", name);
		line = arena_printf(m->r.arena, "%s %s%s%s", line, name, value ? ":" : "",
				    value ? value : "");
	}
	if (i)
		out->dns[out->n_dns++] = line ? arena_printf(m->r.arena, "options%s", line) : NULL;
	for (size_t k = 0; k < out->n_dns; k++)
		if (!out->dns[k])
			return field_nomem(&m->r);
	return 0;
}

int
manifest_read_aliases(struct manifest_reader *m, const struct field *spec)
{
	static const struct field_keys keys = { "ip hostnames", "", "" };
	struct field list, f;
	size_t i = 0, n;

	field_get(spec, "hostAliases", &list);
	if (field_check_list(&m->r, &list, MANIFEST_ALIASES_MAX) < 0)
		return -1;
	for (const struct yaml_node *e = list.node ? list.node->first : NULL; e; e = e->next) {
		struct manifest_alias *a = &m->m->aliases[m->m->n_aliases++];

		field_element(&list, e, i++, &f);
		if (field_check_map(&m->r, &f, &keys) < 0 ||
		    field_required(&m->r, &f, "ip", &a->ip) < 0 ||
		    field_words(&m->r, &f, "hostnames", 64, &a->names, &n) < 0)
			return -1;
		if (!manifest_is_address(a->ip))
			return field_wrong(&m->r, &f, "invalid IP address \"%.64s\"", a->ip);
		for (const char **name = a->names; *name; name++)
			if (!manifest_is_word(*name))
				return field_wrong(&m->r, &f, "invalid name \"%.64s\"", *name);
	}
	return 0;
}
