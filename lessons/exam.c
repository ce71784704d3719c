/* SPDX-License-Identifier: MIT */
/*
 * A question for an exam: who prints what, when coroutines resume each other?
 *
 *     exam SEED        the question
 *     exam SEED key    the answer
 *
 * The scripts of main, A, B and C come from the seed. The answer comes from the library:
 * they are run. So the key cannot be wrong, and every script ends, for it has an end and
 * nothing in it repeats.
 */
#include <errno.h>
#include <stdbool.h>
#include <stdint.h>
#include <stdio.h>
#include <stdlib.h>
#include <string.h>

#include "coroutine.h"

enum { PLAYERS = 3, STEPS = 5, MAIN_STEPS = 6 };
enum action { SAY, RESUME, YIELD };

struct step {
	enum action action;
	int whom; /* RESUME */
};

struct player {
	struct co *co;
	int number;
	struct step steps[STEPS];
};

static struct player players[PLAYERS];
static struct step main_steps[MAIN_STEPS];
static uint64_t state;

static int name_of(int number)
{
	return 'A' + number;
}

/* xorshift64*: the same everywhere, unlike rand(). */
static int random_below(int n)
{
	state ^= state >> 12;
	state ^= state << 25;
	state ^= state >> 27;
	return (int)((state * 2685821657736338717u >> 33) % (uint64_t)n);
}

/* Something is always said before the first yield, and nobody does two yields running. */
static void write_scripts(void)
{
	for (int p = 0; p < PLAYERS; p++)
		for (int i = 0; i < STEPS; i++) {
			enum action before = i ? players[p].steps[i - 1].action : YIELD;
			enum action action = before == YIELD ? SAY : before == SAY ? RESUME + random_below(2) : YIELD * random_below(2);
			players[p].steps[i] = (struct step){ action, random_below(PLAYERS) };
		}
	for (int i = 0; i < MAIN_STEPS; i++)
		main_steps[i] = (struct step){ RESUME, i == 0 ? 0 : random_below(PLAYERS) };
}

static const char *name_of_error(int error)
{
	return error == EBUSY ? "EBUSY" : error == EINVAL ? "EINVAL" : strerror(error);
}

static void print_word(const char *word)
{
	static bool is_later;

	printf("%s%s", is_later ? " " : "", word);
	is_later = true;
}

static void take_step(const struct step *step, int number, int *said)
{
	char word[] = "a1";

	switch (step->action) {
	case SAY:
		word[0] = (char)('a' + number);
		word[1] = (char)('0' + ++*said);
		print_word(word);
		break;
	case RESUME:
		if (co_resume(players[step->whom].co) != 0)
			print_word(name_of_error(errno));
		break;
	case YIELD:
		co_yield_ct();
		break;
	}
}

static void *play(void *arg)
{
	struct player *me = arg;
	int said = 0;

	for (int i = 0; i < STEPS; i++)
		take_step(&me->steps[i], me->number, &said);
	return NULL;
}

static void print_key(void)
{
	for (int p = 0; p < PLAYERS; p++) {
		players[p].number = p;
		if (co_create(&players[p].co, NULL, play, &players[p]) != 0) {
			perror("co_create");
			exit(1);
		}
	}
	for (int i = 0; i < MAIN_STEPS; i++)
		take_step(&main_steps[i], 0, NULL);
	printf("\n");
	for (int p = 0; p < PLAYERS; p++) {
		printf("%s%c is %s", p ? ", " : "", name_of(p), co_state_name(co_status(players[p].co)));
		co_release(players[p].co);
	}
	printf("\n");
}

static void print_script(const struct step *steps, int n, int number)
{
	int said = 0;

	for (int i = 0; i < n; i++) {
		printf("%s", i ? "; " : " ");
		switch (steps[i].action) {
		case SAY:
			printf("say %c%d", name_of(number) + 'a' - 'A', ++said);
			break;
		case RESUME:
			printf("resume %c", name_of(steps[i].whom));
			break;
		case YIELD:
			printf("yield");
			break;
		}
	}
	printf("\n");
}

static void print_question(void)
{
	printf("A, B and C are coroutines that were created and have not run. What is said, in which\n"
	       "order? Where a resume is refused, write EBUSY or EINVAL. In which state are they then?\n\n");
	printf("main:");
	print_script(main_steps, MAIN_STEPS, 0);
	for (int p = 0; p < PLAYERS; p++) {
		printf("%c:   ", name_of(p));
		print_script(players[p].steps, STEPS, p);
	}
}

int main(int argc, char **argv)
{
	char *end = NULL;
	unsigned long seed = argc > 1 ? strtoul(argv[1], &end, 10) : 0;

	if (argc < 2 || *argv[1] == '\0' || *end || (argc > 2 && strcmp(argv[2], "key") != 0)) {
		fprintf(stderr, "exam: a number is needed: make exam SEED=7, or SEED=7 KEY=1 for the answer\n");
		return 2;
	}
	state = seed * 0x9e3779b97f4a7c15u + 1;
	for (int i = 0; i < 10; i++)
		random_below(2); /* near seeds are far apart then */
	write_scripts();
	if (argc > 2)
		print_key();
	else
		print_question();
	return 0;
}
