"""Why a row lies in quarantine, in Chinese: the store keeps the reasons in English, as the commands tell them."""

import re

CHINESE = {
    r"(\w+) is missing": "缺少 {0}",
    r"the profile has no such measure": "配置中没有这一项目",
    r"the profile has no such post": "配置中没有这一岗位",
    r"not a number from -10\^12 to 10\^12": "不是 −10^12 至 10^12 之间的数",
    r"not a finite number": "不是有效数字",  # as it was told before
    r"recorded before it occurred": "登记日期早于发生日期",
    r"began after it occurred": "开始日期晚于发生日期",
    r"valid_to is before valid_from": "valid_to 早于 valid_from",
    r"not a year between (\d+) and (\d+)": "不是 {0} 至 {1} 之间的年份",
    r"the year is not between (\d+) and (\d+)": "年份不在 {0} 至 {1} 之间",
    r"not a date; write it as YYYY-MM-DD": "不是日期，请写成 YYYY-MM-DD",
    r"holds a NUL character": "含有 NUL 字符",
    r"the line holds a NUL byte": "该行含有 NUL 字节",
    r"the line is not (\S+) text": "该行不是 {0} 编码的文本",
    r"the line has a quotation mark or line break in the wrong place, or the wrong number of cells": (
        "该行引号或换行位置有误，或列数不符"
    ),
    r"the line is longer than ([\d,]+) bytes": "该行超过 {0} 字节",
    r"the same event_id and recorded_on as line (\d+) of (.+)": "event_id 与登记日期同 {1} 第 {0} 行",
    r"every roster row of the officer is in quarantine": "该民警的名册各行均在隔离区",
    r"the officer is not on the roster": "名册中没有该民警",
    r"the officer has another posting from that day, in line (\d+)": "该民警同日已有另一任职，见第 {0} 行",
}
"""The reason as a pattern -> the reason in Chinese."""


def reason_told(reason: str, language: str) -> str:
    """Return a reason in the reader's language; one that the table does not hold stays as it is."""
    if language == "zh":
        for pattern, text in CHINESE.items():
            found = re.fullmatch(pattern, reason)
            if found:
                return text.format(*found.groups())
    return reason
