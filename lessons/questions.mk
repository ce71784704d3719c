# SPDX-License-Identifier: MIT
# The experiments of lessons/questions: one program for each question, 01-... to 37-...
# for what people believe, q1-... to q6-... for what readers of libco ask.

QUESTIONS := $(basename $(notdir $(wildcard lessons/questions/[0-9]*.c lessons/questions/q[0-9]*.c)))
QUESTION_PROGRAMS := $(QUESTIONS:%=$(B)/lessons/questions/%)
# Those that have blocking calls replaced (lesson 8).
HOOKED_QUESTIONS := 27-nothing-blocks 29-ready-cannot-block q6-write-first

# make question Q=17, Q=07, Q=Q4, Q=q4: the one program that it names, or nothing.
ASKED := $(strip $(QUESTION))
ASKED_PROGRAM := $(if $(filter 1,$(words $(ASKED))),$(addprefix $(B)/lessons/questions/,\
		 $(filter $(foreach q,$(subst Q,q,$(ASKED)),$(q)-% 0$(q)-%),$(QUESTIONS))))

# Always -O2, as programs are that people wonder about: some of it is what the optimizer
# does. Some need a flag more; their first comments say why.
QUESTION_OPT := -O2
# valgrind cannot read what clang tells debuggers.
QUESTION_LINK_16-valgrind-complains := -Wl,--strip-debug
QUESTION_OPT_18-guard-catches-all := -fno-stack-clash-protection
QUESTION_OPT_13-longjmp := -U_FORTIFY_SOURCE
QUESTION_OPT_28-hook-sees-all := -U_FORTIFY_SOURCE

$(B)/lessons/questions/%.o: lessons/questions/%.c Makefile lessons/questions.mk $(B)/how | $(WAIT)
	$(call need,$(CC),$(if $(filter gcc,$(CC)),lesson1,test))$(call say,CC,$<)
	@mkdir -p $(@D)
	$(Q)$(CC) $(CFLAGS) $(QUESTION_OPT) $(QUESTION_OPT_$*) -c $< -o $@

QUESTION_OBJECTS := $(addprefix $(B)/lessons/questions/,question.o child.o count.o) $(call objects,$(LIB_FILES))

# -rdynamic: for those that ask for the names of their own functions.
$(QUESTION_PROGRAMS): $(B)/lessons/questions/%: $(B)/lessons/questions/%.o $(QUESTION_OBJECTS)
	$(call say,LINK,$@)
	$(Q)$(CC) -rdynamic $(QUESTION_LINK_$*) $^ $(LDLIBS) -lm -o $@
$(HOOKED_QUESTIONS:%=$(B)/lessons/questions/%): $(B)/costep_hooks.o

question: $(ASKED_PROGRAM) | $(WAIT) ## an experiment: Q=17, Q=Q4; without Q=, the list of what people believe
	@$(if $(ASKED_PROGRAM),$<,lessons/questions/list $(if $(ASKED),$(call quote,$(ASKED))))

questions: $(QUESTION_PROGRAMS) | $(WAIT) ## all experiments, one line each
	@lessons/questions/run -j 2 $^

ifneq ($(filter question questions,$(MAKECMDGOALS)),)
ifneq ($(filter asan tsan,$(VARIANT)),)
$(error The experiments do what sanitizers stop; VARIANT=debug or VARIANT=release)
endif
endif

.PHONY: question questions
