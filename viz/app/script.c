/* SPDX-License-Identifier: MIT */
/* Reads a script line by line and plays it. */
#include "script.h"

#include <errno.h>
#include <stdlib.h>
#include <string.h>

#include "export.h"

const char script_help[] =
	"A script is a text of keys, as if typed: --script FILE (\"-\": standard input).\n"
	"\n"
	"  Right ] z 3          keys with blanks between: characters, or the names that\n"
	"                       `coviz help keys` shows (Left Right Up Down Home End PgUp PgDn\n"
	"                       Tab Space Enter Esc S-Up S-Down C-Up C-Down C-c ...)\n"
	"  20*Right             the same key 20 times\n"
	"  :switch:3            a line that begins with : or / and more is typed as it stands,\n"
	"                       and then Enter\n"
	"  dump FILE            write the screen: .txt, .ansi, .svg or .dark.svg; \"dump -\": as\n"
	"                       text to standard output\n"
	"  expect TEXT          end with status 1 unless the screen shows TEXT\n"
	"  size 120x36          as if the terminal changed its size\n"
	"  pace SECONDS         for --cast: how long each key takes from now on (0.3)\n"
	"  wait SECONDS         for --cast: nothing happens for a while\n"
	"  # ...                a comment; also after keys\n";

enum { LINE_MAX_LEN = 1024, SIDE_MAX = 1000, TIMES_MAX = 1000000 };

struct script {
	struct session *session;
	const char *name;
	int line;
	double pace;
	bool has_quit;
};

static int fail(const struct script *s, int status, const char *what, const char *word)
{
	fprintf(stderr, "coviz: %s:%d: %s%s\n", s->name, s->line, what, word);
	return status;
}

static void press(struct script *s, uint32_t key)
{
	s->session->seconds += s->pace;
	if (!session_key(s->session, key))
		s->has_quit = true;
	session_draw(s->session);
}

/* --- directives ----------------------------------------------------------------------------- */

static int dump(struct script *s, const char *path)
{
	enum export_kind kind = EXPORT_TEXT;
	enum palette palette = s->session->palette;

	if (strcmp(path, "-") != 0 && !export_kind_named(path, &kind))
		return fail(s, 2, "dump: a name that ends in .txt, .ansi, .svg or .dark.svg, or -; not ", path);
	if (export_to_file(path, &s->session->grid, kind, palette) == 0)
		return 0;
	fprintf(stderr, "coviz: %s:%d: %s: %s\n", s->name, s->line, path, strerror(errno));
	return 2;
}

static int expect(struct script *s, const char *text)
{
	char *screen = NULL;
	size_t len;
	FILE *f = open_memstream(&screen, &len);

	if (!f)
		return fail(s, 2, "no memory", "");
	export_text(f, &s->session->grid);
	if (fclose(f) != 0)
		return fail(s, 2, "no memory", "");
	bool is_there = strstr(screen, text) != NULL;
	if (!is_there)
		fprintf(stderr, "%s", screen);
	free(screen);
	return is_there ? 0 : fail(s, 1, "the screen (above) does not show: ", text);
}

static int resize(struct script *s, const char *size)
{
	int w, h, end = 0;

	if (sscanf(size, "%dx%d%n", &w, &h, &end) != 2 || size[end] || w < 1 || h < 1 || w > SIDE_MAX || h > SIDE_MAX)
		return fail(s, 2, "size: WIDTHxHEIGHT such as 120x36, not ", size);
	if (grid_init(&s->session->grid, w, h) != 0)
		return fail(s, 2, "no memory", "");
	session_draw(s->session);
	return 0;
}

static int seconds(struct script *s, const char *word, double *value)
{
	char *end;
	double n = strtod(word, &end);

	if (end == word || *end || !(n >= 0 && n < 86400))
		return fail(s, 2, "a number of seconds, not ", word);
	*value = n;
	return 0;
}

/* False: @line is no directive. */
static bool directive(struct script *s, const char *line, int *result)
{
	double n = 0;

	if (strncmp(line, "dump ", 5) == 0)
		*result = dump(s, line + 5);
	else if (strncmp(line, "expect ", 7) == 0)
		*result = expect(s, line + 7);
	else if (strncmp(line, "size ", 5) == 0)
		*result = resize(s, line + 5);
	else if (strncmp(line, "pace ", 5) == 0)
		*result = seconds(s, line + 5, &s->pace);
	else if (strncmp(line, "wait ", 5) == 0)
		*result = seconds(s, line + 5, &n);
	else
		return false;
	s->session->seconds += n;
	return true;
}

/* --- keys ------------------------------------------------------------------------------------- */

static void type_line(struct script *s, const char *line)
{
	while (*line && !s->has_quit)
		press(s, utf8_next(&line));
	if (!s->has_quit)
		press(s, K_ENTER);
}

static int play_word(struct script *s, const char *word)
{
	char *star;
	unsigned long times = strtoul(word, &star, 10);

	if (star > word && *star == '*' && star[1])
		word = star + 1;
	else
		times = 1;
	uint32_t key = key_named(word);
	if (key == K_NONE)
		return fail(s, 2, "no key, and no directive (`coviz help script`): ", word);
	if (times > TIMES_MAX)
		return fail(s, 2, "that is too often: ", word);
	for (; times > 0 && !s->has_quit; times--)
		press(s, key);
	return 0;
}

static int play_line(struct script *s, char *line)
{
	int result = 0;
	char *save;

	line += strspn(line, " \t");
	line[strcspn(line, "\r\n")] = 0;
	for (size_t n = strlen(line); n > 0 && (line[n - 1] == ' ' || line[n - 1] == '\t');)
		line[--n] = 0;
	if (*line == '#' || directive(s, line, &result))
		return result;
	if ((*line == ':' || *line == '/') && line[1] && line[1] != ' ') {
		type_line(s, line);
		return 0;
	}
	for (char *word = strtok_r(line, " \t", &save); word && !result && !s->has_quit; word = strtok_r(NULL, " \t", &save)) {
		if (*word == '#' && word[1] == 0)
			break;
		result = play_word(s, word);
	}
	return result;
}

int script_run(struct session *session, FILE *f, const char *name)
{
	struct script s = { .session = session, .name = name, .pace = 0.3 };
	char line[LINE_MAX_LEN];
	int result = 0;

	session_draw(session);
	while (result == 0 && !s.has_quit && fgets(line, sizeof(line), f)) {
		s.line++;
		if (!strchr(line, '\n') && !feof(f))
			return fail(&s, 2, "this line is too long", "");
		result = play_line(&s, line);
	}
	return result;
}
