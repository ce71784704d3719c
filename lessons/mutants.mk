# SPDX-License-Identifier: MIT
# Mutants: one mistake each, as a patch (lessons/NN-name/mutants/M-what.patch), built
# beside the real thing: build/.../mutants/N-M/ has the changed file, its object, the
# lesson's demo and tests linked with it. The tree is never changed.
# Read by the Makefile; lessons/mutant and tests/mutants run what is built here.

# What `make help` reads:
# breakN: ## lesson N's demo with a mistake in the code: M=2; GDB=1 or VIZ=1 to look at it, WHY=1 to be told
# mutants: ## do the tests catch every mistake of every lesson? L=3: of lesson 3
# symptoms: ## do the demos with these mistakes do what is said of them? L=3: of lesson 3
# recordings: ## do the recordings of breakN VIZ=1 come to the mistake? L=3: of lesson 3

# What the patches say of each: LESSON-NUMBER:FILE:TEST:PATCH. (Other goals need not know.)
ifneq ($(filter break% mutants symptoms recordings $(B)/mutants/%,$(MAKECMDGOALS)),)
PATCHES := $(sort $(wildcard lessons/*/mutants/[0-9]*.patch))
MUTANTS := $(if $(PATCHES),$(shell awk '/^Killed-by: / { test = $$2 } /^\+\+\+ b\// { split(FILENAME, at, "/"); \
             print at[2] + 0 "-" at[4] + 0 ":" substr($$2, 3) ":" test ":" FILENAME }' $(PATCHES)))
endif
# $(call mutant_is,LESSON-NUMBER:...,4): one of these four
mutant_is = $(word $(2),$(subst :, ,$(1)))
mutant_lesson = $(firstword $(subst -, ,$(1)))

# $(call mutant_stage,LESSON-NUMBER,TEST): the first that has the layer and the test; else the last.
tests_of_stage = $(foreach n,$(1) $(NEEDS_$(1)),$(TESTS_$(n)))
stages_with    = $(foreach n,$(LESSONS),$(if $(filter $(1),$(n) $(NEEDS_$(n))),$(if $(filter $(2),$(call tests_of_stage,$(n))),$(n))))
mutant_stage   = $(firstword $(call stages_with,$(call mutant_lesson,$(1)),$(2)) $(lastword $(LESSONS)))

# $(call mutant_objects,LESSON-NUMBER,FILE,STAGE): the stage's, with the mutant's in the place of the real one
mutant_objects = $(patsubst $(B)/$(basename $(2)).o,$(B)/mutants/$(1)/$(basename $(2)).o,$(call stage,$(3)))

# How its file is compiled: as the real one, and without a warning.
comma := ,
mutant_cc = $(if $(filter %.S,$(1)),$(CC) -g -Iasm -MMD -MP -Wa$(comma)--fatal-warnings $(EXTRA),\
                                    $(CC) $(CFLAGS) -fvisibility=hidden -Werror $(OPT))

# $(1) LESSON-NUMBER, $(2) file, $(3) test, $(4) patch
define mutant_rules
$(B)/mutants/$(1)/$(2): $(4) $(2)
	$$(call need,patch,)@mkdir -p $$(@D)
	@lessons/mutant patch $(4) $(2) $$@
$(B)/mutants/$(1)/$(basename $(2)).o: $(B)/mutants/$(1)/$(2) Makefile $(B)/how | $$(WAIT)
	$$(call say,CC,$$<)
	$$(Q)$$(call mutant_cc,$(2)) -c $$< -o $$@
$(eval $(call unit_rule,mutants/$(1),$(call mutant_objects,$(1),$(2),$(call mutant_stage,$(1),$(3)))))
$(addprefix $(B)/mutants/$(1)/,$(TESTS_WITH_REGISTERS)): $(B)/tests/unit/regs_$(ARCH).o
$(B)/mutants/$(1)/demo: $(call objects,lessons/$(NAME_$(call mutant_lesson,$(1)))/demo) \
                        $(call mutant_objects,$(1),$(2),$(call mutant_lesson,$(1)))
	$$(call say,LINK,$$@)
	$$(Q)$$(CC) $$(OPT) -rdynamic $$^ $$(LDLIBS) -o $$@
endef
$(foreach m,$(MUTANTS),$(eval $(call mutant_rules,$(call mutant_is,$(m),1),$(call mutant_is,$(m),2),$(call mutant_is,$(m),3),$(call mutant_is,$(m),4))))

# For tests/mutants: LESSON-NUMBER:STAGE:TEST:PATCH
mutants_asked = $(foreach m,$(if $(L),$(filter $(L)-%,$(MUTANTS)),$(MUTANTS)),$(subst \
  :$(call mutant_is,$(m),2):,:$(call mutant_stage,$(call mutant_is,$(m),1),$(call mutant_is,$(m),3)):,$(m)))
if_any = $(if $(mutants_asked),$(1),$(call no_lesson,L=$(L)))

mutants: | have-test $(WAIT)
	$(call if_any,@B='$(B)' tests/mutants killed $(mutants_asked))

symptoms: | have-test $(WAIT)
	$(call if_any,@B='$(B)' tests/mutants symptoms $(mutants_asked))

recordings: build/coviz | have-test $(WAIT)
	$(call if_any,@B='$(B)' tests/mutants recordings $(mutants_asked))
.PHONY: mutants symptoms recordings

# --- make break3 M=2 ------------------------------------------------------------------

mutant_verb  = $(if $(M),$(if $(WHY),why,$(if $(GDB),gdb,$(if $(VIZ),viz,run))),list)
is_mutant    = $(findstring $(space)$(1)-$(M):,$(space)$(MUTANTS))
mutant_needs = $(if $(filter run gdb viz,$(mutant_verb)),$(if $(call is_mutant,$(1)),$(B)/mutants/$(1)-$(M)/demo $(if $(VIZ),build/coviz)))

define break_rule
.PHONY: break$(1)
break$(1): $(call mutant_needs,$(1)) | $$(WAIT)
	@lessons/mutant $(mutant_verb) $(NAME_$(1)) $(call quote,$(M)) $(call quote,$(B)/mutants/$(1)-$(M)/demo) build/coviz
endef
$(foreach n,$(LESSONS),$(eval $(call break_rule,$(n))))
break%:
	$(call no_lesson,$*)
