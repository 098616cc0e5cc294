"""The smallest valid pack as text, to be broken in one place by each test."""

PACK = """\
schema: cradlewatch.regulation/1
id: x
version: 1
title: {zh: 测试, en: Test}
effective_from: 2021-01-01
rooms:
  required: [entrance, play]
  must_exist: [play]
  forbidden: []
  free: [corridor, nap, dining, wash, changing, toilet, nursing]
  district_decides: [kitchen, reception, outdoor_play, office, staff_rest, other]
requirements:
  zone_coverage:
    title: {zh: 覆盖, en: Coverage}
    citation: &citation
      title: {zh: 规定, en: Rule}
      clause: {zh: 第一条, en: Article 1}
      strength: law
      status: primary
    proof: [attested]
  retention:
    title: {zh: 保存, en: Retention}
    citation: *citation
    required_days: 90
    confirm_after: 6h
  measurability:
    title: {zh: 可核查, en: Measurable}
    citation: *citation
    max_undetermined_hours: 72
    must_offer: [retention]
"""
