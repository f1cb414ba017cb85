"use strict";
// Stands in for Amazon's script of that name in HTML questions.
function turkGetParam(name, fallback) {
  const value = new URLSearchParams(location.search).get(name);
  return value === null ? (fallback === undefined ? "" : fallback) : value;
}
function turkGetSubmitToHost() {
  return turkGetParam("turkSubmitTo", location.origin);
}
function turkSetAssignmentID(formId) {
  const form = document.getElementById(formId || "mturk_form");
  const id = turkGetParam("assignmentId");
  const field = document.getElementById("assignmentId") || (form && form.elements.assignmentId);
  if (field) field.value = id;
  if (id !== "ASSIGNMENT_ID_NOT_AVAILABLE") return;
  const button = document.getElementById("submitButton");
  if (button) {
    button.disabled = true;
    button.value = "You must ACCEPT the HIT before you can submit the results.";
  }
}
