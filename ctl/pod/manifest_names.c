/* SPDX-License-Identifier: Apache-2.0 */
/* Names of hosts: those that a pod resolves, and how. */
#include "ctl/pod/manifest_internal.h"

int
manifest_read_dns(struct manifest_reader *m, const struct field *spec)
{
	static const struct field_keys keys = { "nameservers searches options", "", "" };
	static const struct field_keys option_keys = { "name value", "", "" };
	const char **servers, **searches, *line = "";
	struct field dns, options, f;
	struct manifest *out = m->m;
	size_t n, i = 0;

	field_get(spec, "dnsConfig", &dns);
	field_get(&dns, "options", &options);
	if (field_check_map(&m->r, &dns, &keys) < 0 ||
	    field_words(&m->r, &dns, "nameservers", 16, &servers, &n) < 0)
		return -1;
	for (size_t k = 0; k < n; k++)
		out->dns[out->n_dns++] = arena_printf(m->r.arena, "nameserver %s", servers[k]);
	if (field_words(&m->r, &dns, "searches", 32, &searches, &n) < 0 ||
	    field_check_list(&m->r, &options, 32) < 0)
		return -1;
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
	}
	return 0;
}
